#include "agent/server/accept_queue.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>

namespace signalbox::server {

AcceptQueue::AcceptQueue(unsigned capacity, telemetry::QueueRecord& record, int wakeup)
    : capacity_(std::max(capacity, 1u)),
      mask_(std::bit_ceil(capacity_) - 1),
      ring_(std::make_unique<AcceptedSocket[]>(mask_ + 1)),
      record_(record),
      wakeup_(wakeup) {
    record_.oldest_monotonic_ns.store(0);
    record_.popped.store(0);
    record_.pushed.store(0);
    record_.capacity.store(static_cast<std::uint32_t>(capacity_));
}

AcceptQueue::~AcceptQueue() {
    while (const auto socket = pop())
        ::close(socket->descriptor);
}

bool AcceptQueue::admits(std::chrono::nanoseconds deadline, std::uint64_t now) {
    return admission_.admits({.pushed = pushed_.load(std::memory_order_relaxed),
                              .popped = popped_.load(std::memory_order_relaxed),
                              .oldest_ns = oldest_ns()},
                             static_cast<std::uint64_t>(deadline.count()), now);
}

bool AcceptQueue::push(const AcceptedSocket& socket) {
    const std::uint64_t index = pushed_.load(std::memory_order_relaxed);
    if (index - popped_.load() >= capacity_) return false;
    at(index) = socket;
    record_.pushed.fetch_add(1);
    pushed_.store(index + 1);

    // Sequentially consistent, as pop()'s counterpart: whichever comes second sees the other's store and sets
    // the right value.
    std::uint64_t none = 0;
    std::uint64_t mine = socket.accepted_ns;
    if (record_.oldest_monotonic_ns.compare_exchange_strong(none, mine) && popped_.load() > index)
        record_.oldest_monotonic_ns.compare_exchange_strong(mine, 0);

    if (armed_.load() && armed_.exchange(false)) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(wakeup_, &one, sizeof one);
    }
    return true;
}

std::optional<AcceptedSocket> AcceptQueue::pop() {
    const std::uint64_t index = popped_.load(std::memory_order_relaxed);
    if (pushed_.load() == index) return std::nullopt;
    const AcceptedSocket socket = at(index);
    popped_.store(index + 1);
    record_.popped.store(record_.popped.load(std::memory_order_relaxed) + 1);

    const bool more = pushed_.load() != index + 1;
    record_.oldest_monotonic_ns.store(more ? at(index + 1).accepted_ns : 0);
    if (!more && pushed_.load() != index + 1) {
        std::uint64_t none = 0;
        record_.oldest_monotonic_ns.compare_exchange_strong(none, at(index + 1).accepted_ns);
    }
    return socket;
}

bool AcceptQueue::arm() {
    armed_.store(true);
    if (depth() == 0) return true;
    armed_.store(false);
    return false;
}

std::size_t AcceptQueue::depth() const {
    const std::uint64_t popped = popped_.load();
    return static_cast<std::size_t>(pushed_.load() - popped);
}

}  // namespace signalbox::server
