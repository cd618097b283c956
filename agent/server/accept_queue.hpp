// The bounded queue between whoever accepts and the worker's event loop: single producer, single consumer, lock-free.
//
// What the queue holds is shown in the seat's QueueRecord, which is written so that a reader that loads
// `popped` before `pushed` never sees more popped than pushed, and so that `oldest` says 0 only when nothing
// waits. The ring has indices of its own: nobody but this process can break it.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "agent/server/admission.hpp"
#include "agent/telemetry/layout.hpp"

namespace signalbox::server {

struct AcceptedSocket {
    int descriptor = -1;
    std::uint64_t accepted_ns = 0;  ///< CLOCK_MONOTONIC
    sockaddr_storage peer{};
};

class AcceptQueue {
public:
    /// `capacity` connections may wait. `wakeup` is an eventfd.
    AcceptQueue(unsigned capacity, telemetry::QueueRecord& record, int wakeup);
    ~AcceptQueue();
    AcceptQueue(const AcceptQueue&) = delete;
    AcceptQueue& operator=(const AcceptQueue&) = delete;

    /// The producer's, once for each connection: whether it would be served in time; see Admission.
    bool admits(std::chrono::nanoseconds deadline, std::uint64_t now);
    /// The producer's. False, and the socket stays the caller's, when the queue is full. Wakes the consumer if it sleeps.
    bool push(const AcceptedSocket& socket);

    /// The event loop's.
    std::optional<AcceptedSocket> pop();
    /// From now on a push writes to the eventfd, once. False, and nothing is armed, if something waits already.
    bool arm();
    /// What did not have to wait here counts like what did.
    void count_served_at_once() {
        record_.pushed.fetch_add(1);
        record_.popped.store(record_.popped.load(std::memory_order_relaxed) + 1);
    }

    /// The event loop's: how fast it serves.
    Admission& admission() { return admission_; }

    /// Any thread.
    std::size_t depth() const;
    /// When the first one that waits was accepted; 0: none waits.
    std::uint64_t oldest_ns() const { return record_.oldest_monotonic_ns.load(std::memory_order_relaxed); }
    /// Any thread: a connection found no descriptor, or nearly none.
    void note_shortage() { shortage_.store(true, std::memory_order_relaxed); }
    /// Whether that was noted since the last call.
    bool take_shortage() {
        return shortage_.load(std::memory_order_relaxed) &&
               shortage_.exchange(false, std::memory_order_relaxed);
    }
    void count_shed() { record_.shed.fetch_add(1, std::memory_order_relaxed); }

private:
    AcceptedSocket& at(std::uint64_t index) { return ring_[index & mask_]; }

    const std::uint64_t capacity_;
    const std::uint64_t mask_;
    const std::unique_ptr<AcceptedSocket[]> ring_;
    telemetry::QueueRecord& record_;
    const int wakeup_;
    Admission admission_;
    alignas(64) std::atomic<std::uint64_t> pushed_{0};
    alignas(64) std::atomic<std::uint64_t> popped_{0};
    alignas(64) std::atomic<bool> armed_{false};
    std::atomic<bool> shortage_{false};
};

}  // namespace signalbox::server
