#include "agent/telemetry/cells.hpp"

#include <algorithm>

#include "agent/telemetry/bucket_copy.hpp"

namespace signalbox::telemetry {
namespace {

using detail::DistributionBuckets;
using detail::DistributionCell;
using detail::DistributionHead;
constexpr auto relaxed = std::memory_order_relaxed;

/// The accessors are shared with writers; nothing is written through them here.
std::byte* readable(const std::byte* base) {
    return const_cast<std::byte*>(base);
}

void add_side(const std::byte* base, const DistributionCell& cell, SideTotals& side) {
    side.add(read_head(cell.head(readable(base))));
    BucketCopy copy;
    copy.add(base, cell);
    if (copy.size() == 0) return;
    if (side.counts.empty()) side.first = copy.first();
    if (copy.first() < side.first) {
        side.counts.insert(side.counts.begin(), side.first - copy.first(), 0);
        side.first = copy.first();
    }
    side.counts.resize(std::max<std::size_t>(side.counts.size(), copy.first() - side.first + copy.size()));
    for (std::uint32_t i = 0; i < copy.size(); ++i)
        side.counts[copy.first() - side.first + i] += copy.count(copy.first() + i);
}

void fold_side(const SideTotals& from, std::byte* into, const DistributionCell& cell) {
    DistributionHead& head = cell.head(into);
    SideHead total = read_head(head);
    total.add(from);
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
        buckets.counts[bucket].store(static_cast<std::uint32_t>(count % detail::kCarryUnit) << 1, relaxed);
        if (count < detail::kCarryUnit) continue;
        buckets.carries[bucket].store(static_cast<std::uint16_t>(count / detail::kCarryUnit), relaxed);
        head.carrying.store(detail::kHasCarried, relaxed);
    }
}

}  // namespace

void SideHead::add(const SideHead& other) {
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
}

SideHead read_head(const DistributionHead& head) {
    return {.sum = read_sum(head),
            .inverted_min = head.inverted_min.load(relaxed),
            .max = head.max.load(relaxed),
            .min_monotonic_ns = head.min_monotonic_ns.load(relaxed),
            .max_monotonic_ns = head.max_monotonic_ns.load(relaxed),
            .zeros = head.zeros.load(relaxed),
            .underflow = head.underflow.load(relaxed),
            .overflow = head.overflow.load(relaxed),
            .infinities = head.infinities.load(relaxed)};
}

void add_cells(const std::byte* base, const DistributionCell& cell, DistributionTotals& totals) {
    add_side(base, cell, totals.above);
    totals.nans += cell.head(readable(base)).nans.load(relaxed);
    if (cell.is_signed) add_side(base, cell.below_zero(), totals.below);
}

void add_totals(const DistributionTotals& totals, std::byte* into, const DistributionCell& cell) {
    if (totals.nans > 0) detail::add_alone(cell.head(into).nans, totals.nans);
    const auto touched = [](const SideTotals& side) { return !side.empty() || side.infinities > 0; };
    if (touched(totals.above)) fold_side(totals.above, into, cell);
    if (touched(totals.below)) fold_side(totals.below, into, cell.below_zero());
}

void fold_cells(const std::byte* from, std::byte* into, const DistributionCell& cell) {
    DistributionTotals totals;
    add_cells(from, cell, totals);
    add_totals(totals, into, cell);
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
