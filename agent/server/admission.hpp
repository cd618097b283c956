// Whether a connection is let into the accept queue, or refused at once because it would wait too long.
//
// What is chosen, and why:
//
// - The queue is first come, first served and short. Under a load beyond what can be served, a long queue serves nobody
//   sooner: it only makes everyone wait as long as the longest wait that is allowed (Nichols and Jacobson, "Controlling
//   Queue Delay", ACM Queue 2012, call that the standing queue). Serving the newest first (adaptive LIFO) hides that, but
//   those at the bottom learn late that they are refused. Here everyone is told at the door, in microseconds, and who has
//   been let in is served.
// - A connection has to expect to wait
//
//       what is left of the one being served  +  those that wait × the time that each takes
//
//   It is let in if that is within the budget: an eighth of the queue's deadline, since an estimate may be off by that
//   much and whoever was let in by mistake learns it only when the deadline has passed.
// - The budget is what a burst may use. When more come than are served for a whole period (250 ms), it shrinks by that
//   ratio: with fifty times too many there is always another to take the place, so one that waits is as good as ten.
//   Then a place comes free just before the event loop can use it, and when the load ends, whoever comes next stands
//   behind next to nothing.
// - The time that each takes is measured where it matters: from one connection that had to wait to the next. An event
//   loop that is away right now counts as one more measurement, of twice the time that it has been away so far: nobody
//   knows how long it will be, and on average one looks when half of it is over. Where nothing has been measured yet, that
//   is all that is known, so a worker whose first handler blocks does not fill its queue while it does.
// - Who was let in by mistake (a fast worker has become slow) is shed as soon as that is known: the oldest first, until
//   the last one can be served before its deadline, or, under a flood, within a quarter of it.
//
// Two threads: admits() is the producer's, the rest the event loop's. No locks, no system calls.
#pragma once

#include <atomic>
#include <cstdint>

namespace signalbox::server {

class Admission {
public:
    static constexpr unsigned kMostPerTurn = 16;

    /// What the accept queue looks like to its producer.
    struct Queue {
        std::uint64_t pushed;     ///< so far
        std::uint64_t popped;     ///< so far
        std::uint64_t oldest_ns;  ///< when the first that waits was accepted; 0: none waits
    };

    /// The producer's, once for each connection: whether it may wait. `deadline_ns` is the queue's.
    bool admits(const Queue& queue, std::uint64_t deadline_ns, std::uint64_t now);

    /// The event loop's, at the beginning of a turn: so long has the first that waits waited, 0 if it has not. `idle_ns`
    /// is when the loop was last seen with nothing to do.
    void begin_turn(std::uint64_t waited_ns, std::uint64_t idle_ns, std::uint64_t now);
    /// The event loop's, of the first that waits: whether to shed it, since it, or those behind it, would wait too long.
    bool gives_up(std::uint64_t waited_ns, std::uint64_t waiting_behind, std::uint64_t deadline_ns) const;
    /// The event loop's: how many to take in this turn, so that those do not wait for each other beyond the queue.
    unsigned batch() const;
    /// The event loop's, at the end of a turn.
    void took(unsigned connections) { taken_in_turn_ = connections; }

    /// The time that a connection takes, as far as is known; 0: nothing is.
    std::uint64_t service_ns() const { return service_ns_.load(std::memory_order_relaxed); }

private:
    void measured(std::uint64_t service_ns);
    void look_back(const Queue& queue, std::uint64_t now);

    // written by the event loop
    std::atomic<std::uint64_t> service_ns_{0};
    std::atomic<std::uint32_t> measurements_{0};  ///< at most kMemory
    std::atomic<std::uint64_t> turn_ns_{0};       ///< the last one in which something was taken
    unsigned taken_in_turn_ = 0;

    // written by the producer
    std::atomic<std::uint64_t> excess_{
        1};  ///< so many times too many came in the last period; 1: not too many

    // the producer's own
    std::uint64_t period_began_ns_ = 0;
    std::uint64_t popped_before_ = 0;  ///< when the period began
    std::uint64_t arrived_ = 0;        ///< in the period
};

}  // namespace signalbox::server
