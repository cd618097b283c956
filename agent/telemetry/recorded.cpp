#include "agent/telemetry/recorded.hpp"

#include <algorithm>
#include <utility>

namespace signalbox::telemetry {
namespace {

using sketch::ExponentialHistogram;

std::uint64_t grown(std::uint64_t now, std::uint64_t before) {
    return now > before ? now - before : 0;
}

/// What is counted in one head and its buckets, `negative` if it is that of the values below zero.
void add_side(ExponentialHistogram& into, const SideHead& now, const SideHead& before,
              sketch::BucketRun counts, double units_per_tick, bool negative) {
    if (const std::uint64_t times = grown(now.underflow, before.underflow)) {
        counts.add(sketch::kFirstBucket, times);
        into.mark_underflow(times);
    }
    if (const std::uint64_t times = grown(now.overflow, before.overflow)) {
        counts.add(sketch::kLastBucket, times);
        into.mark_overflow(times);
    }
    const double sum = now.sum > before.sum ? static_cast<double>(now.sum - before.sum) * units_per_tick : 0;
    const std::uint64_t infinities = grown(now.infinities, before.infinities);
    if (negative) {
        into.add_negative_buckets(std::move(counts));
        into.add_sum(-sum);
        into.add_negative_infinities(infinities);
    } else {
        into.add_buckets(std::move(counts));
        into.add_sum(sum);
        into.add_zeros(grown(now.zeros, before.zeros));
        into.add_positive_infinities(infinities);
    }
}

void widen(ExponentialHistogram& histogram, const SideHead& head, double units_per_tick, bool negative) {
    const double unit = negative ? -units_per_tick : units_per_tick;
    if (!negative && head.zeros > 0) histogram.widen_extremes(0, 0);
    if (head.max == 0) return;
    for (const std::uint64_t ticks : {~head.inverted_min, head.max})
        histogram.widen_extremes(static_cast<double>(ticks) * unit, static_cast<double>(ticks) * unit);
}

}  // namespace

void SideReading::clear() {
    head = {};
    nans = 0;
    buckets.clear();
}

void SideReading::add(const std::byte* base, const detail::DistributionCell& cell) {
    const detail::DistributionHead& shared = cell.head(const_cast<std::byte*>(base));
    head.add(read_head(shared));
    nans += shared.nans.load(std::memory_order_relaxed);
    buckets.add(base, cell);
}

void Recorded::reach(std::size_t words, std::size_t sides) {
    if (words_.size() < words) words_.resize(words);
    if (sides_.size() < sides) sides_.resize(sides);
}

std::uint64_t Recorded::advance_word(std::size_t place, std::uint64_t now) {
    return grown(now, std::exchange(words_[place], now));
}

ExponentialHistogram Recorded::advance(std::size_t place, std::span<const SideReading> now,
                                       double units_per_tick) {
    const std::span<Side> seen = std::span(sides_).subspan(place, now.size());
    const bool extremes_are_known =
        std::all_of(seen.begin(), seen.end(), [](const Side& side) { return side.head.empty(); });
    ExponentialHistogram change;
    for (std::size_t i = 0; i < now.size(); ++i) {
        add_side(change, now[i].head, seen[i].head, now[i].buckets.advance(seen[i].counts), units_per_tick,
                 i == 1);
        seen[i].head = now[i].head;
        if (extremes_are_known) widen(change, now[i].head, units_per_tick, i == 1);
    }
    change.add_nans(grown(now[0].nans, std::exchange(seen[0].nans, now[0].nans)));
    return change;
}

ExponentialHistogram Recorded::total(std::size_t place, std::size_t sides, double units_per_tick) const {
    ExponentialHistogram total;
    if (place + sides > sides_.size()) return total;
    for (std::size_t i = 0; i < sides; ++i) {
        const Side& side = sides_[place + i];
        add_side(total, side.head, {}, side.counts, units_per_tick, i == 1);
        widen(total, side.head, units_per_tick, i == 1);
    }
    total.add_nans(sides_[place].nans);
    return total;
}

std::span<const Recorded::Side> Recorded::sides(std::size_t place, std::size_t count) const {
    if (place + count > sides_.size()) return {};
    return std::span(sides_).subspan(place, count);
}

void Recorded::take_over(const Recorded& departed) {
    reach(departed.words_.size(), departed.sides_.size());
    for (std::size_t i = 0; i < departed.words_.size(); ++i)
        words_[i] += departed.words_[i];
    for (std::size_t i = 0; i < departed.sides_.size(); ++i) {
        sides_[i].head.add(departed.sides_[i].head);
        sides_[i].nans += departed.sides_[i].nans;
        sides_[i].counts.add(departed.sides_[i].counts, 0);
    }
}

bool tells(const ExponentialHistogram& change) {
    return !change.empty() || change.sum() != 0 || change.nans() > 0 || change.positive_infinities() > 0 ||
           change.negative_infinities() > 0;
}

}  // namespace signalbox::telemetry
