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

/// With many connections, a few more or less are not worth waking another worker.
constexpr std::uint64_t kNegligible = 32;

std::uint64_t since(std::uint64_t then, std::uint64_t now) {
    return now > then ? now - then : 0;
}

std::uint64_t age(std::uint64_t began, std::uint64_t now) {
    return began == 0 ? 0 : since(began, now);
}

/// `oldest`: of the queue.
std::uint64_t late(const telemetry::Seat& seat, std::uint64_t oldest, std::uint64_t now) {
    return std::max({std::uint64_t{seat.late_us.load(relaxed)} * 1'000, age(oldest, now),
                     age(seat.turn_began_ns.load(relaxed), now),
                     since(seat.heartbeat_monotonic_ns.load(relaxed) + kBeat, now)});
}

}  // namespace

void Lateness::noticed(std::uint64_t late_ns) {
    if (late_ns / 1'000 > seat_.late_us().load(relaxed))
        seat_.late_us().store(
            static_cast<std::uint32_t>(std::min<std::uint64_t>(late_ns / 1'000, UINT32_MAX)), relaxed);
}

void Lateness::beat(std::uint64_t late_ns) {
    const std::uint32_t before = seat_.late_us().load(relaxed);
    if (before > 0) seat_.late_us().store(before / 2, relaxed);
    noticed(late_ns);
}

void LoadView::set_standing_back(bool stands_back) const {
    seat_.queue(listener_).stands_back.store(stands_back);
}

bool LoadView::stands_back() const {
    return seat_.queue(listener_).stands_back.load(relaxed) != 0;
}

/// Those that are ready. A group that shrinks drains what is beyond its target, and most of max_workers' seats are vacant.
template <class Visit>
void LoadView::for_each_other(Visit visit) const {
    telemetry::Segment& segment = seat_.segment();
    const unsigned slots = segment.geometry().slot_count;
    const unsigned target = segment.group().target_workers.load(relaxed);
    const unsigned seats = 2 * (target == 0 ? slots : std::min(target, slots));
    for (unsigned index = 0; index < seats; ++index) {
        const telemetry::Seat* const seat = index == seat_.index() ? nullptr : segment.seat(index);
        if (seat && seat->phase.load(relaxed) == static_cast<std::uint32_t>(telemetry::Phase::ready) &&
            seat->pid.load(relaxed) != 0)
            visit(*seat, index / 2);
    }
}

LoadView::Advice LoadView::ask(std::size_t depth, std::uint64_t oldest_ns, std::uint64_t now,
                               std::uint64_t margin, Others which) const {
    const telemetry::Seat& own = *seat_.segment().seat(seat_.index());
    const std::uint64_t own_connections = own.connections.load(relaxed) + depth;
    const std::uint64_t own_late = late(own, oldest_ns, now);

    Advice advice;
    std::uint64_t least = UINT64_MAX;
    std::uint64_t least_late = UINT64_MAX;
    unsigned promptest = 0;
    for_each_other([&](const telemetry::Seat& seat, unsigned slot) {
        const telemetry::QueueRecord& queue = seat.queues[listener_];
        if (which == Others::but_those_standing_back && queue.stands_back.load() != 0) return;
        const std::uint64_t popped = queue.popped.load(relaxed);
        const std::uint64_t waiting = since(popped, queue.pushed.load(relaxed));
        const std::uint64_t connections = seat.connections.load(relaxed) + waiting;
        const std::uint64_t its_late = late(seat, queue.oldest_monotonic_ns.load(relaxed), now);
        if (its_late <= kPardoned && connections < least) {
            least = connections;
            advice.slot = slot;
        }
        if (its_late < least_late && waiting < queue.capacity.load(relaxed)) {
            least_late = its_late;
            promptest = slot;
        }
    });
    if (own_late > kLate && least_late != UINT64_MAX && 2 * least_late <= own_late)
        return {.others_first = Reason::much_less_late, .slot = promptest};
    if (least == UINT64_MAX) return {};
    const std::uint64_t most = least + std::max(margin, least / kNegligible);
    if (own_connections >= most)
        advice.others_first = Reason::fewer_connections;
    else
        advice.room = static_cast<unsigned>(most - own_connections);
    return advice;
}

std::uint64_t LoadView::progress_of_others() const {
    std::uint64_t accepted = 0;
    for_each_other([&](const telemetry::Seat& seat, unsigned) {
        accepted += seat.queues[listener_].pushed.load(relaxed);
    });
    return accepted;
}

}  // namespace signalbox::server
