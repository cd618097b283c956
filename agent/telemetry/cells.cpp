#include "agent/telemetry/cells.hpp"

#include <algorithm>

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
    const auto bucket = static_cast<std::int32_t>(detail::bucket_of(cell, detail::clamp_ticks(ticks)));
    return static_cast<std::uint32_t>(std::clamp(bucket, 0, static_cast<std::int32_t>(kBuckets) - 1));
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
        high = low < (UINT32_MAX >> 1) ? fresh : static_cast<std::uint16_t>(fresh - 1);
    }
    return std::uint64_t{high} << 32 | low;
}

}  // namespace

void DistributionTotals::cover(std::uint32_t from, std::size_t size) {
    if (size == 0) return;
    if (counts.empty()) first = from;
    if (from < first) {
        counts.insert(counts.begin(), first - from, 0);
        first = from;
    }
    counts.resize(std::max(counts.size(), from - first + size));
}

void add_cells(const std::byte* base, const DistributionCell& cell, DistributionTotals& totals) {
    auto* writable =
        const_cast<std::byte*>(base);  // the accessors are shared with writers; nothing is written here
    const DistributionHead& head = cell.head(writable);
    const DistributionBuckets& buckets = cell.buckets(writable);

    totals.sum += static_cast<Uint128>(head.sum_high.load(relaxed)) << 64 | head.sum_low.load(relaxed);
    totals.inverted_min = std::max(totals.inverted_min, head.inverted_min.load(relaxed));
    totals.max = std::max(totals.max, head.max.load(relaxed));
    totals.zeros += head.zeros.load(relaxed);
    totals.underflow += head.underflow.load(relaxed);
    totals.overflow += head.overflow.load(relaxed);

    const Range range = occupied(head, cell);
    if (range.first > range.last) return;
    totals.cover(range.first, range.last - range.first + 1);
    for (std::uint32_t bucket = range.first; bucket <= range.last; ++bucket)
        totals.counts[bucket - totals.first] += count_of(head, buckets, bucket);
}

void fold_cells(const std::byte* from, std::byte* into, const DistributionCell& cell) {
    DistributionTotals totals;
    add_cells(from, cell, totals);
    if (totals.empty()) return;
    DistributionHead& head = cell.head(into);
    DistributionBuckets& buckets = cell.buckets(into);

    const auto sum =
        (static_cast<Uint128>(head.sum_high.load(relaxed)) << 64 | head.sum_low.load(relaxed)) + totals.sum;
    head.sum_low.store(static_cast<std::uint64_t>(sum), relaxed);
    head.sum_high.store(static_cast<std::uint64_t>(sum >> 64), relaxed);
    head.inverted_min.store(std::max(head.inverted_min.load(relaxed), totals.inverted_min), relaxed);
    head.max.store(std::max(head.max.load(relaxed), totals.max), relaxed);
    detail::add_exclusively(head.zeros, totals.zeros);
    detail::add_exclusively(head.underflow, totals.underflow);
    detail::add_exclusively(head.overflow, totals.overflow);
    for (std::size_t i = 0; i < totals.counts.size(); ++i) {
        if (totals.counts[i] == 0) continue;
        const auto bucket = totals.first + static_cast<std::uint32_t>(i);
        const std::uint64_t count = count_of(head, buckets, bucket) + totals.counts[i];
        buckets.counts[bucket].store(static_cast<std::uint32_t>(count), relaxed);
        if (count >> 32 == 0) continue;
        buckets.carries[bucket].store(static_cast<std::uint16_t>(count >> 32), relaxed);
        head.carrying.store(detail::kHasCarried, relaxed);
    }
}

sketch::ExponentialHistogram difference(const DistributionTotals& now, const DistributionTotals& before,
                                        double units_per_tick) {
    sketch::ExponentialHistogram histogram;
    // What cannot be: a count that fell. A broken writer may show it; it counts as no change.
    const auto grown = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; };
    const auto earlier = [&before](std::uint32_t bucket) -> std::uint64_t {
        const std::uint32_t i = bucket - before.first;
        return bucket >= before.first && i < before.counts.size() ? before.counts[i] : 0;
    };
    for (std::size_t i = 0; i < now.counts.size(); ++i) {
        const auto bucket = now.first + static_cast<std::uint32_t>(i);
        histogram.add_to_bucket(sketch::kFirstBucket + static_cast<int>(bucket),
                                grown(now.counts[i], earlier(bucket)));
    }
    const std::uint64_t underflow = grown(now.underflow, before.underflow);
    const std::uint64_t overflow = grown(now.overflow, before.overflow);
    histogram.add_to_bucket(sketch::kFirstBucket, underflow);
    histogram.add_to_bucket(sketch::kLastBucket, overflow);
    histogram.mark_underflow(underflow);
    histogram.mark_overflow(overflow);
    histogram.add_zeros(grown(now.zeros, before.zeros));
    if (now.sum > before.sum) histogram.add_sum(static_cast<double>(now.sum - before.sum) * units_per_tick);
    if (before.empty() && !now.empty())
        histogram.widen_extremes(now.zeros > 0 ? 0 : static_cast<double>(~now.inverted_min) * units_per_tick,
                                 static_cast<double>(now.max) * units_per_tick);
    return histogram;
}

}  // namespace signalbox::telemetry
