// The thread that accepts in place of an event loop that is away: in a handler that computes or blocks, or behind with
// what it has. So the kernel's queue is emptied at once also then, those that wait are seen, and whoever would have to wait
// for too long is told at once; see doorkeeper.hpp.
//
// It waits at the shared socket behind the event loops (EPOLLEXCLUSIVE): the kernel wakes it only when none of those waits.
// While the own loop turns as it should, it only looks again a little later. It does not take what another worker should
// take (see load.hpp), but wakes that one, its loop or who stands in for it, and sleeps, at first for 50 µs, at last for
// 10 ms, until it is its turn; if somebody waits for 5 ms and none of the others comes that have fewer connections, it
// accepts.
#pragma once

#include <atomic>
#include <thread>

#include "agent/server/doorkeeper.hpp"
#include "agent/server/load.hpp"
#include "agent/server/wakeups.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

class StandIn {
public:
    /// Starts. Everything outlives the thread.
    StandIn(const Listener& listener, AcceptQueue& queue, const LoadView& load, WorkerContext& context);
    /// Stops; waits until what it has shed has been read, at most a second.
    ~StandIn();
    StandIn(const StandIn&) = delete;
    StandIn& operator=(const StandIn&) = delete;

    /// The event loop's: it turns, but more come than it takes.
    void needed() { needed_.store(true, std::memory_order_relaxed); }
    /// Returns when nothing is accepted any more.
    void stop();
    bool finished() const { return finished_; }

private:
    enum class Loop { waits, stands_back, turns, away };

    enum class Told { of_nothing, of_a_connection, by_another_worker };

    void run();
    Told wait_at_the_end_of_the_line();
    Loop look_at_loop(std::uint64_t now);
    void relieve();
    LoadView::Advice ask() const;
    void wait_for_the_others();
    void take_nap(std::chrono::nanoseconds& nap);
    void sleep(std::chrono::nanoseconds pause);

    const int socket_;
    AcceptQueue& queue_;
    const LoadView& load_;
    const TurnBegan& turn_;
    const Wakeups& wakeups_;
    const unsigned slot_;
    Doorkeeper door_;
    const int set_;            ///< an epoll set of its own
    const Wakeups interrupt_;  ///< of its pauses; it has one slot
    std::uint64_t distrusted_until_ = 0;
    std::atomic<bool> needed_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> stopped_{false};
    std::atomic<bool> finished_{false};
    std::thread thread_;  ///< last: it uses the rest
};

/// Whether a connection waits in the kernel's queue.
bool somebody_waits(int socket);

}  // namespace signalbox::server
