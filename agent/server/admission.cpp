#include "agent/server/admission.hpp"

#include <algorithm>

namespace signalbox::server {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kBudgetShare = 8;  ///< of the deadline
constexpr std::uint64_t kPeriod = 250 * kMillisecond;
/// Fewer in a period are a burst at most, however few are served meanwhile.
constexpr std::uint64_t kFlood = 16;
/// So many may always wait while there are not too many: nobody refuses the three connections of a browser.
constexpr std::uint64_t kAlways = 4;
/// How many measurements the average remembers.
constexpr std::uint32_t kMemory = 63;
constexpr std::uint64_t kSurprise = 2;  ///< so many times the average
/// Nobody who was let in is given up after fewer measurements.
constexpr std::uint32_t kSure = 4;
/// The event loop may be away for so long because others have the processor.
constexpr std::uint64_t kHiccup = 80 * kMillisecond;
/// Who was taken sooner found a loop that was free.
constexpr std::uint64_t kAtOnce = kMillisecond;
/// When the next is taken at once and so soon, the one before has cost nobody anything.
constexpr std::uint64_t kBrief = 20 * kMillisecond;
/// What those of one turn may take.
constexpr std::uint64_t kTurn = 2 * kMillisecond;

std::uint64_t since(std::uint64_t then, std::uint64_t now) {
    return now > then ? now - then : 0;
}

}  // namespace

void Admission::measured(std::uint64_t service_ns) {
    std::uint32_t known = measurements_.load(relaxed);
    // What surprises is either a hiccup, which counts little, or another load than before, which counts soon.
    if (service_ns > kSurprise * service_ns_.load(relaxed) + kAtOnce) known /= 2;
    const std::uint64_t average = (known * service_ns_.load(relaxed) + service_ns) / (known + 1);
    service_ns_.store(average, relaxed);
    measurements_.store(std::min(known + 1, kMemory), relaxed);
}

void Admission::begin_turn(std::uint64_t waited_ns, std::uint64_t idle_ns, std::uint64_t now) {
    const std::uint64_t before = turn_ns_.load(relaxed);
    turn_ns_.store(now, relaxed);
    if (taken_in_turn_ == 0) return;
    const std::uint64_t each = since(before, now) / taken_in_turn_;
    if (waited_ns > kAtOnce)
        measured(since(std::max(before, idle_ns), now) / taken_in_turn_);  // it was away
    else if (each < kBrief)
        measured(std::min(each, kAtOnce / kMostPerTurn));
    taken_in_turn_ = 0;
}

bool Admission::gives_up(std::uint64_t waited_ns, std::uint64_t waiting_behind,
                         std::uint64_t deadline_ns) const {
    if (waited_ns > deadline_ns) return true;
    if (measurements_.load(relaxed) < kSure) return false;
    const std::uint64_t last_waits = waiting_behind * service_ns();
    return last_waits > (excess_.load(relaxed) == 1 ? deadline_ns : deadline_ns / 4);
}

unsigned Admission::batch() const {
    if (measurements_.load(relaxed) == 0) return 1;
    const std::uint64_t each = std::max<std::uint64_t>(service_ns(), 1);
    return static_cast<unsigned>(std::clamp<std::uint64_t>(kTurn / each, 1, kMostPerTurn));
}

/// Once a period: whether more came than were served.
void Admission::look_back(const Queue& queue, std::uint64_t now) {
    ++arrived_;
    if (since(period_began_ns_, now) < kPeriod) return;
    const std::uint64_t served = std::max<std::uint64_t>(queue.popped - popped_before_, 1);
    // After a pause there is no period to look back at, only the one that begins.
    const bool whole = since(period_began_ns_, now) < 2 * kPeriod;
    const bool flood = whole && arrived_ >= kFlood;
    excess_.store(flood ? std::max<std::uint64_t>(arrived_ / served, 1) : 1, relaxed);
    period_began_ns_ = now;
    popped_before_ = queue.popped;
    arrived_ = 0;
}

bool Admission::admits(const Queue& queue, std::uint64_t deadline_ns, std::uint64_t now) {
    look_back(queue, now);
    const std::uint64_t depth = queue.pushed - queue.popped;
    const std::uint64_t excess = excess_.load(relaxed);
    if (depth < kAlways && excess == 1) return true;

    const std::uint64_t turn = turn_ns_.load(relaxed);
    const std::uint64_t service = service_ns_.load(relaxed);
    std::uint64_t each = service;
    if (depth > 0) {
        const std::uint64_t known = measurements_.load(relaxed);
        const std::uint64_t away = since(std::max(turn, queue.oldest_ns), now);
        if (away > kHiccup) each = std::max(each, (known * service + 2 * away) / (known + 1));
    }
    const std::uint64_t busy = since(turn, now);
    const std::uint64_t rest = service > busy ? service - busy : 0;
    return rest + depth * each <= deadline_ns / kBudgetShare / excess;
}

}  // namespace signalbox::server
