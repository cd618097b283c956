// Whether a worker should leave the next connection to the others.
//
// The kernel hands a connection to whichever worker's accept thread has waited longest, even if that worker's
// event loop is busy. A worker that is clearly behind therefore waits a little before it accepts, as long as
// the segment shows another one that is ready, alive and better off. When none is, it accepts: a late answer
// is better than none.
#pragma once

#include <atomic>
#include <cstdint>

#include "agent/telemetry/seat.hpp"

namespace signalbox::server {

/// When the event loop last turned (CLOCK_MONOTONIC): written by the loop, read by the accept threads.
using LastTurn = std::atomic<std::uint64_t>;

class LoadView {
public:
    LoadView(telemetry::SeatWriter& seat, unsigned listener, const LastTurn& last_turn)
        : seat_(seat), listener_(listener), last_turn_(last_turn) {}

    /// `depth` and `oldest_ns` of the own queue. Cheap unless the worker is behind.
    bool should_defer(std::size_t depth, std::uint64_t oldest_ns, std::uint64_t now) const;

private:
    /// `stuck`: how long this worker has not turned, or has left a connection waiting; 0: not for too long.
    bool another_is_better_off(std::size_t depth, std::uint64_t stuck, std::uint64_t now) const;

    telemetry::SeatWriter& seat_;
    unsigned listener_;
    const LastTurn& last_turn_;
};

}  // namespace signalbox::server
