#include "agent/server/load.hpp"

#include <algorithm>

#include "agent/telemetry/segment.hpp"

namespace signalbox::server {

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
/// A loop turns at least at every heartbeat, 100 ms; with a connection waiting it should turn at once.
constexpr std::uint64_t kStuck = 200 * kMillisecond;
constexpr std::uint64_t kStuckWithWork = 50 * kMillisecond;
constexpr std::size_t kMargin = 4;

std::uint64_t since(std::uint64_t then, std::uint64_t now) {
    return now > then ? now - then : 0;
}

}  // namespace

bool LoadView::should_defer(std::size_t depth, std::uint64_t oldest_ns, std::uint64_t now) const {
    const std::uint64_t late = since(last_turn_.load(std::memory_order_relaxed), now);
    const std::uint64_t waited = oldest_ns != 0 ? since(oldest_ns, now) : 0;
    const bool stuck = late > kStuck || waited > kStuckWithWork;
    return (stuck || depth >= kMargin) &&
           another_is_better_off(depth, stuck ? std::max(late, waited) : 0, now);
}

bool LoadView::another_is_better_off(std::size_t depth, std::uint64_t stuck, std::uint64_t now) const {
    // On a machine that is short of processor time everybody is late, but whoever is stuck is much later. The least
    // late of all defers to nobody.
    const std::uint64_t not_turned = std::max(kStuck, stuck / 2);
    const std::uint64_t not_served = std::max(kStuckWithWork, stuck / 2);
    constexpr auto relaxed = std::memory_order_relaxed;
    const telemetry::Segment& segment = seat_.segment();
    const unsigned workers = segment.geometry().slot_count * 2;
    for (unsigned index = 0; index < workers; ++index) {
        const telemetry::Seat* other = index == seat_.index() ? nullptr : segment.seat(index);
        if (!other || other->phase.load(relaxed) != static_cast<std::uint32_t>(telemetry::Phase::ready))
            continue;
        if (other->pid.load(relaxed) == 0 ||
            since(other->heartbeat_monotonic_ns.load(relaxed), now) > not_turned)
            continue;
        const telemetry::QueueRecord& queue = other->queues[listener_];
        const std::uint64_t popped = queue.popped.load(relaxed);
        const std::uint64_t waiting = queue.pushed.load(relaxed) - popped;
        const std::uint64_t oldest = queue.oldest_monotonic_ns.load(relaxed);
        if (oldest != 0 && since(oldest, now) > not_served) continue;
        if (stuck > 0 ? waiting < queue.capacity.load(relaxed) : waiting + kMargin <= depth) return true;
    }
    return false;
}

}  // namespace signalbox::server
