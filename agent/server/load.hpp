// Whether a worker should leave the next connection to the others.
//
// The kernel hands a connection to whichever worker's accept thread has waited longest, even if that worker has more
// connections than the others, or its event loop is busy. So before it accepts, a worker looks at what the segment shows
// of the others, and waits a little if one that is ready and alive
//
// - has fewer connections, open or waiting, and an event loop that turns as it should: kept-open connections then spread
//   evenly over the workers, also those that come all at once, and a worker that has just been started catches up;
// - or has an event loop that is much less late than the own one is, or was a moment ago: one that computes for long
//   between two turns gets few connections, since it is known for it.
//
// Whoever waits for the others does not wait in accept4, so nobody is woken in vain, and whoever has least is there at
// once. What nobody takes for some milliseconds is taken by those that have more connections, but not
// by those that are much later: they would keep it waiting for longer.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "agent/telemetry/seat.hpp"

namespace signalbox::server {

/// When the event loop last turned (CLOCK_MONOTONIC): written by the loop, read by the accept threads.
using LastTurn = std::atomic<std::uint64_t>;

/// How late the event loop is, for the other workers to see. Written by the loop.
class Lateness {
public:
    explicit Lateness(telemetry::SeatWriter& seat) : seat_(seat) {}

    /// Something has waited so long for the loop.
    void noticed(std::uint64_t late_ns);
    /// At every heartbeat, with how late that was: what was before fades.
    void beat(std::uint64_t late_ns);

private:
    telemetry::SeatWriter& seat_;
};

class LoadView {
public:
    LoadView(telemetry::SeatWriter& seat, unsigned listener, const LastTurn& last_turn)
        : seat_(seat), listener_(listener), last_turn_(last_turn) {}

    enum class Reason { none, fewer_connections, much_less_late };
    /// Why to leave the next connection to another worker. `depth` and `oldest_ns` are of the own queue. Reads a few words
    /// of each other worker's seat.
    Reason should_defer(std::size_t depth, std::uint64_t oldest_ns, std::uint64_t now) const;

    /// Whoever waits for the others says so before it looks at them a second time: two that wait for each other would both
    /// wait in vain.
    void set_deferring(bool deferring) const;

private:
    telemetry::SeatWriter& seat_;
    unsigned listener_;
    const LastTurn& last_turn_;
};

}  // namespace signalbox::server
