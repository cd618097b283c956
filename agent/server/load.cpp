#include "agent/server/load.hpp"

#include <algorithm>

#include "agent/telemetry/segment.hpp"

namespace signalbox::server {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint64_t kMillisecond = 1'000'000;
/// A loop turns at least at every heartbeat.
constexpr std::uint64_t kBeat = 100 * kMillisecond;
/// An event loop that is later than this keeps connections waiting.
constexpr std::uint64_t kLate = 20 * kMillisecond;
/// Under a burst every loop is late, some more than others. Who has least is waited for none the less, if it is no later
/// than this.
constexpr std::uint64_t kPardoned = 30 * kMillisecond;
/// So many connections less make a difference. With 1, two workers would wait for each other's turn at each of them.
constexpr std::uint64_t kMargin = 2;

std::uint64_t since(std::uint64_t then, std::uint64_t now) {
    return now > then ? now - then : 0;
}

struct Load {
    std::uint64_t connections;  ///< open or waiting
    std::uint64_t late_ns;
};

std::uint64_t late(std::uint64_t noticed_us, std::uint64_t last_turn, std::uint64_t oldest,
                   std::uint64_t now) {
    return std::max(
        {noticed_us * 1'000, since(last_turn + kBeat, now), oldest == 0 ? 0 : since(oldest, now)});
}

// Where the layout has room, the word that each queue of a seat has to spare: the top bit says that the queue's accept
// thread waits for the others, the rest, in the first queue, how late the event loop is, in µs.
constexpr std::uint32_t kDefers = std::uint32_t{1} << 31;
constexpr std::uint32_t kLateness = kDefers - 1;

std::uint64_t lateness_us(const telemetry::QueueRecord& first_queue) {
    return first_queue.reserved.load(relaxed) & kLateness;
}
/// The event loop's alone; the other bit is another thread's.
void set_lateness_us(telemetry::QueueRecord& first_queue, std::uint64_t late_us) {
    const auto now = static_cast<std::uint32_t>(std::min<std::uint64_t>(late_us, kLateness));
    first_queue.reserved.fetch_add(now - static_cast<std::uint32_t>(lateness_us(first_queue)), relaxed);
}

}  // namespace

void Lateness::noticed(std::uint64_t late_ns) {
    telemetry::QueueRecord& shown = seat_.queue(0);
    if (late_ns / 1'000 > lateness_us(shown)) set_lateness_us(shown, late_ns / 1'000);
}

void Lateness::beat(std::uint64_t late_ns) {
    telemetry::QueueRecord& shown = seat_.queue(0);
    const std::uint64_t before = lateness_us(shown);
    const std::uint64_t shows = std::max(before / 2, late_ns / 1'000);
    if (shows != before) set_lateness_us(shown, shows);
}

void LoadView::set_deferring(bool deferring) const {
    telemetry::AtomicHalf& word = seat_.queue(listener_).reserved;
    if (deferring)
        word.fetch_or(kDefers);
    else
        word.fetch_and(kLateness);
}

LoadView::Reason LoadView::should_defer(std::size_t depth, std::uint64_t oldest_ns, std::uint64_t now) const {
    telemetry::Segment& segment = seat_.segment();
    telemetry::Seat& own_seat = *segment.seat(seat_.index());
    const Load own{own_seat.connections.load(relaxed) + depth,
                   late(lateness_us(seat_.queue(0)), last_turn_.load(relaxed), oldest_ns, now)};
    if (own.connections < kMargin && own.late_ns <= kLate) return Reason::none;

    // Those of a group that shrinks drain anyway, and most of max_workers' seats are vacant.
    const unsigned slots = segment.geometry().slot_count;
    const unsigned target = segment.group().target_workers.load(relaxed);
    Reason reason = Reason::none;
    const unsigned seats = 2 * (target == 0 ? slots : std::min(target, slots));
    for (unsigned index = 0; index < seats; ++index) {
        telemetry::Seat* seat = index == seat_.index() ? nullptr : segment.seat(index);
        if (!seat || seat->phase.load(relaxed) != static_cast<std::uint32_t>(telemetry::Phase::ready) ||
            seat->pid.load(relaxed) == 0)
            continue;
        const telemetry::QueueRecord& queue = seat->queues[listener_];
        if (queue.reserved.load() & kDefers) continue;
        const std::uint64_t popped = queue.popped.load(relaxed);
        const std::uint64_t waiting = since(popped, queue.pushed.load(relaxed));
        const Load other{seat->connections.load(relaxed) + waiting,
                         late(lateness_us(seat->queues[0]), seat->heartbeat_monotonic_ns.load(relaxed),
                              queue.oldest_monotonic_ns.load(relaxed), now)};
        if (other.late_ns <= kPardoned && other.connections + kMargin <= own.connections)
            reason = Reason::fewer_connections;
        const bool much_less_late = own.late_ns > kLate && 2 * other.late_ns <= own.late_ns;
        if (much_less_late && waiting < queue.capacity.load(relaxed)) return Reason::much_less_late;
    }
    return reason;
}

}  // namespace signalbox::server
