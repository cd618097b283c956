#include "agent/telemetry/cells.hpp"

#include <algorithm>
#include <utility>

namespace signalbox::telemetry {
namespace {

using detail::DistributionBuckets;
using detail::DistributionCell;
using detail::DistributionHead;
constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto kBuckets = static_cast<std::uint32_t>(sketch::kBucketCount);

/// The buckets that can hold anything, [first, last]; first > last: none.
struct Range {
    std::uint32_t first = 1;
    std::uint32_t last = 0;
};

std::uint32_t clamped_bucket(const DistributionCell& cell, std::uint64_t ticks) {
    const double value = static_cast<double>(std::min<std::uint64_t>(ticks, INT64_MAX)) * cell.units_per_tick;
    const std::uint64_t bucket = sketch::bucket_position(value);
    if (bucket < kBuckets) return static_cast<std::uint32_t>(bucket);
    return value < 1 ? 0 : kBuckets - 1;
}

Range occupied(const DistributionHead& head, const DistributionCell& cell) {
    const std::uint64_t inverted_min = head.inverted_min.load(relaxed);
    const std::uint64_t max = head.max.load(relaxed);
    if (inverted_min == 0 || max == 0 || ~inverted_min == 0) return {};
    return {clamped_bucket(cell, ~inverted_min), clamped_bucket(cell, max)};
}

std::uint64_t count_of(const DistributionHead& head, const DistributionBuckets& buckets,
                       std::uint32_t bucket) {
    const std::uint32_t low = buckets.counts[bucket].load(std::memory_order_acquire);
    const std::uint64_t carrying = head.carrying.load(std::memory_order_acquire);
    if (carrying == 0) return low;  // the carries' pages stay untouched
    std::uint16_t high = buckets.carries[bucket].load(relaxed);
    if (carrying >> 16 == std::uint64_t{bucket} + 1) {
        // Carry stored, but perhaps not yet the zero that goes with it: the bucket itself tells.
        const auto fresh = static_cast<std::uint16_t>(carrying);
        high = low < (UINT32_MAX >> 2) ? fresh : static_cast<std::uint16_t>(fresh - 1);
    }
    return (std::uint64_t{high} << 31) + low;
}

Uint128 sum_of(const DistributionHead& head) {
    constexpr std::uint64_t half = std::uint64_t{1} << 63;
    const std::uint64_t high = head.sum_high.load(std::memory_order_acquire);
    const std::uint64_t low = head.sum_low.load(std::memory_order_acquire);
    // Odd: 2^63 are being moved. They are in `low` still, or gone from there and not counted in `high` yet.
    const std::uint64_t moved = high / 2 + (high % 2 != 0 && low < half ? 1 : 0);
    return (static_cast<Uint128>(moved) << 63) + low;
}

void store_sum(DistributionHead& head, Uint128 sum) {
    head.sum_low.store(static_cast<std::uint64_t>(sum & INT64_MAX), relaxed);
    head.sum_high.store(static_cast<std::uint64_t>(sum >> 63) * 2, relaxed);
}

/// The accessors are shared with writers; nothing is written through them here.
std::byte* readable(const std::byte* base) {
    return const_cast<std::byte*>(base);
}

void add_side(const std::byte* base, const DistributionCell& cell, SideTotals& side) {
    const DistributionHead& head = cell.head(readable(base));
    const DistributionBuckets& buckets = cell.buckets(readable(base));

    SideTotals lane;
    lane.sum = sum_of(head);
    lane.inverted_min = head.inverted_min.load(relaxed);
    lane.max = head.max.load(relaxed);
    lane.min_monotonic_ns = head.min_monotonic_ns.load(relaxed);
    lane.max_monotonic_ns = head.max_monotonic_ns.load(relaxed);
    lane.zeros = head.zeros.load(relaxed);
    lane.underflow = head.underflow.load(relaxed);
    lane.overflow = head.overflow.load(relaxed);
    lane.infinities = head.infinities.load(relaxed);
    side.add(lane);

    const Range range = occupied(head, cell);
    if (range.first > range.last) return;
    side.cover(range.first, range.last - range.first + 1);
    for (std::uint32_t bucket = range.first; bucket <= range.last; ++bucket)
        side.counts[bucket - side.first] += count_of(head, buckets, bucket);
}

void fold_side(const SideTotals& from, std::byte* into, const DistributionCell& cell) {
    DistributionHead& head = cell.head(into);
    SideTotals total;
    total.sum = sum_of(head);
    total.inverted_min = head.inverted_min.load(relaxed);
    total.max = head.max.load(relaxed);
    total.min_monotonic_ns = head.min_monotonic_ns.load(relaxed);
    total.max_monotonic_ns = head.max_monotonic_ns.load(relaxed);
    total.zeros = head.zeros.load(relaxed);
    total.underflow = head.underflow.load(relaxed);
    total.overflow = head.overflow.load(relaxed);
    total.infinities = head.infinities.load(relaxed);
    total.add({.sum = from.sum,
               .inverted_min = from.inverted_min,
               .max = from.max,
               .min_monotonic_ns = from.min_monotonic_ns,
               .max_monotonic_ns = from.max_monotonic_ns,
               .zeros = from.zeros,
               .underflow = from.underflow,
               .overflow = from.overflow,
               .infinities = from.infinities,
               .counts = {}});
    store_sum(head, total.sum);
    head.inverted_min.store(total.inverted_min, relaxed);
    head.max.store(total.max, relaxed);
    head.min_monotonic_ns.store(total.min_monotonic_ns, relaxed);
    head.max_monotonic_ns.store(total.max_monotonic_ns, relaxed);
    head.zeros.store(total.zeros, relaxed);
    head.underflow.store(total.underflow, relaxed);
    head.overflow.store(total.overflow, relaxed);
    head.infinities.store(total.infinities, relaxed);

    DistributionBuckets& buckets = cell.buckets(into);
    for (std::size_t i = 0; i < from.counts.size(); ++i) {
        if (from.counts[i] == 0) continue;
        const auto bucket = from.first + static_cast<std::uint32_t>(i);
        const std::uint64_t count = count_of(head, buckets, bucket) + from.counts[i];
        buckets.counts[bucket].store(static_cast<std::uint32_t>(count & INT32_MAX), relaxed);
        if (count >> 31 == 0) continue;
        buckets.carries[bucket].store(static_cast<std::uint16_t>(count >> 31), relaxed);
        head.carrying.store(detail::kHasCarried, relaxed);
    }
}

/// What `now` has more than `before`, counted by `count(bucket, times)`, `bucket` from 0.
template <class Count>
void for_each_increase(const SideTotals& now, const SideTotals& before, Count count) {
    for (std::size_t i = 0; i < now.counts.size(); ++i) {
        const auto bucket = now.first + static_cast<std::uint32_t>(i);
        const std::uint32_t at = bucket - before.first;
        const std::uint64_t earlier =
            bucket >= before.first && at < before.counts.size() ? before.counts[at] : 0;
        if (now.counts[i] > earlier) count(bucket, now.counts[i] - earlier);
    }
}

}  // namespace

void SideTotals::cover(std::uint32_t from, std::size_t size) {
    if (size == 0) return;
    if (counts.empty()) first = from;
    if (from < first) {
        counts.insert(counts.begin(), first - from, 0);
        first = from;
    }
    counts.resize(std::max(counts.size(), from - first + size));
}

void SideTotals::add(const SideTotals& other) {
    sum += other.sum;
    if (other.inverted_min > inverted_min) {
        inverted_min = other.inverted_min;
        min_monotonic_ns = other.min_monotonic_ns;
    }
    if (other.max > max) {
        max = other.max;
        max_monotonic_ns = other.max_monotonic_ns;
    }
    zeros += other.zeros;
    underflow += other.underflow;
    overflow += other.overflow;
    infinities += other.infinities;
    cover(other.first, other.counts.size());
    for (std::size_t i = 0; i < other.counts.size(); ++i)
        counts[other.first - first + i] += other.counts[i];
}

void DistributionTotals::add(const DistributionTotals& other) {
    above.add(other.above);
    below.add(other.below);
    nans += other.nans;
}

void add_cells(const std::byte* base, const DistributionCell& cell, DistributionTotals& totals) {
    add_side(base, cell, totals.above);
    totals.nans += cell.head(readable(base)).nans.load(relaxed);
    if (cell.is_signed) add_side(base, cell.below_zero(), totals.below);
}

void fold_cells(const std::byte* from, std::byte* into, const DistributionCell& cell) {
    DistributionTotals totals;
    add_cells(from, cell, totals);
    if (totals.nans > 0) detail::add_alone(cell.head(into).nans, totals.nans);
    const auto touched = [](const SideTotals& side) { return !side.empty() || side.infinities > 0; };
    if (touched(totals.above)) fold_side(totals.above, into, cell);
    if (touched(totals.below)) fold_side(totals.below, into, cell.below_zero());
}

sketch::ExponentialHistogram difference(const DistributionTotals& now, const DistributionTotals& before,
                                        double units_per_tick) {
    sketch::ExponentialHistogram histogram;
    // What cannot be: a count that fell. A broken writer may show it; it counts as no change.
    const auto grown = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; };
    const auto by_sign = [&](const SideTotals& side, const SideTotals& earlier, auto add_to_bucket) {
        for_each_increase(side, earlier, [&](std::uint32_t bucket, std::uint64_t count) {
            add_to_bucket(sketch::kFirstBucket + static_cast<int>(bucket), count);
        });
        const std::uint64_t underflow = grown(side.underflow, earlier.underflow);
        const std::uint64_t overflow = grown(side.overflow, earlier.overflow);
        add_to_bucket(sketch::kFirstBucket, underflow);
        add_to_bucket(sketch::kLastBucket, overflow);
        histogram.mark_underflow(underflow);
        histogram.mark_overflow(overflow);
        return side.sum > earlier.sum ? static_cast<double>(side.sum - earlier.sum) * units_per_tick : 0;
    };
    const double sum_above = by_sign(now.above, before.above, [&histogram](int bucket, std::uint64_t count) {
        histogram.add_to_bucket(bucket, count);
    });
    const double sum_below = by_sign(now.below, before.below, [&histogram](int bucket, std::uint64_t count) {
        histogram.add_to_negative_bucket(bucket, count);
    });
    histogram.add_sum(sum_above - sum_below);
    histogram.add_zeros(grown(now.above.zeros, before.above.zeros));
    histogram.add_nans(grown(now.nans, before.nans));
    histogram.add_positive_infinities(grown(now.above.infinities, before.above.infinities));
    histogram.add_negative_infinities(grown(now.below.infinities, before.below.infinities));

    const auto widen = [&](double value) { histogram.widen_extremes(value, value); };
    if (before.above.empty() && before.below.empty()) {
        if (now.above.zeros > 0) widen(0);
        for (const auto& [side, sign] :
             {std::pair{&now.above, units_per_tick}, {&now.below, -units_per_tick}})
            if (side->max > 0) {
                widen(static_cast<double>(~side->inverted_min) * sign);
                widen(static_cast<double>(side->max) * sign);
            }
    }
    return histogram;
}

std::vector<TimedSample> read_samples(const std::byte* base, const DistributionCell& cell,
                                      std::uint64_t now) {
    const auto taken = [&base](const DistributionCell& side) {
        return side.head(readable(base)).samples_taken.load(std::memory_order_acquire);
    };
    const detail::SampleRing& ring = cell.samples(readable(base));
    const std::uint64_t end = taken(cell);
    std::vector<TimedSample> samples;
    for (std::uint64_t i = end - std::min<std::uint64_t>(end, detail::kSampleRing); i < end; ++i)
        samples.push_back(unpack_sample(ring.samples[i % detail::kSampleRing].load(relaxed), now));
    // Those that were overwritten while they were copied are newer than their place says.
    const std::uint64_t passed = taken(cell) - end;
    samples.erase(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(
                                                         std::min<std::uint64_t>(passed, samples.size())));
    return samples;
}

}  // namespace signalbox::telemetry
