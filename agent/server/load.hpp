// Whether a worker should leave the next connection to the others.
//
// The kernel hands a connection to whichever worker has waited longest at the shared socket, even if that worker has more
// connections than the others, or its event loop is busy. So before it accepts, a worker looks at what the segment shows
// of the others, and stands back if one that is ready and alive
//
// - has fewer connections, open or waiting, and an event loop that turns as it should: kept-open connections then spread
//   evenly over the workers, also those that come all at once, and a worker that has just been started catches up;
// - or has an event loop that is much less late than the own one is, or was a moment ago: one that computes for long
//   between two turns gets few connections, since it is known for it.
//
// Whoever stands back does not wait at the socket, so nobody is woken in vain, and wakes the one that should come instead.
#pragma once

#include <chrono>
#include <cstdint>

#include "agent/telemetry/seat.hpp"

namespace signalbox::server {

/// What has waited so long is taken, whoever should have taken it.
inline constexpr std::uint64_t kPatienceNs = 5'000'000;

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
    LoadView(telemetry::SeatWriter& seat, unsigned listener) : seat_(seat), listener_(listener) {}

    enum class Reason { none, fewer_connections, much_less_late };
    struct Advice {
        Reason others_first = Reason::none;
        unsigned slot = 0;  ///< of the worker that should come instead
        unsigned room =
            UINT32_MAX;  ///< if not: so many may be taken before one of the others has to be asked
    };
    enum class Others { all, but_those_standing_back };
    /// Whose turn it is. So many connections more than the least loaded has make a difference: `margin`, at least 2, since
    /// with 1 two workers would wait for each other's turn at each of them. `depth` and `oldest_ns` are of the own queue.
    /// Reads a few words of each other worker's seat. Whoever does not wake the one that should come leaves those out that
    /// stand back: two would wait for each other.
    Advice ask(std::size_t depth, std::uint64_t oldest_ns, std::uint64_t now, std::uint64_t margin,
               Others which) const;

    /// For the others to see. Whoever waits for the others says so before it looks at them a second time.
    void set_standing_back(bool stands_back) const;
    bool stands_back() const;
    /// Changes whenever one of the other workers has accepted something.
    std::uint64_t progress_of_others() const;

private:
    template <class Visit>
    void for_each_other(Visit visit) const;

    telemetry::SeatWriter& seat_;
    unsigned listener_;
};

}  // namespace signalbox::server
