// Reading and adding up cells, for the arbiter's folding, the collector and whoever looks at one lane. Offsets come from check_entry().
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "agent/telemetry/running_sum.hpp"
#include "agent/telemetry/samples.hpp"
#include "signalbox/detail/lane.hpp"

namespace signalbox::telemetry {

/// One head as numbers, but for its NaNs.
struct SideHead {
    Uint128 sum = 0;                 ///< ticks
    std::uint64_t inverted_min = 0;  ///< of the positive values
    std::uint64_t max = 0;
    std::uint64_t min_monotonic_ns = 0;  ///< when
    std::uint64_t max_monotonic_ns = 0;
    std::uint64_t zeros = 0;
    std::uint64_t underflow = 0;
    std::uint64_t overflow = 0;
    std::uint64_t infinities = 0;

    void add(const SideHead& other);
    /// Nothing with a value has been recorded.
    bool empty() const { return max == 0 && zeros == 0; }
};
SideHead read_head(const detail::DistributionHead& head);

/// One head and its buckets as numbers. Buckets are those of scale 7, `first` counted from 0 =
/// sketch::kFirstBucket.
struct SideTotals : SideHead {
    std::uint32_t first = 0;
    std::vector<std::uint64_t> counts;
};

/// A distribution's cells as numbers.
struct DistributionTotals {
    SideTotals above;  ///< zero and more
    SideTotals below;  ///< the absolute values of what is less, of a signed one
    std::uint64_t nans = 0;
};

/// Adds what lane `base` holds to `totals`. Reads only the buckets between the recorded extremes, so
/// untouched pages stay so.
void add_cells(const std::byte* base, const detail::DistributionCell& cell, DistributionTotals& totals);

/// Adds totals to the cells of `into`. Only for lanes that nobody else writes.
void add_totals(const DistributionTotals& more, std::byte* into, const detail::DistributionCell& cell);
/// Adds the cells of `from` to those of `into`. Likewise.
void fold_cells(const std::byte* from, std::byte* into, const detail::DistributionCell& cell);

/// The last samples of one lane, oldest first, at most detail::kSampleRing. While the instrument is recorded
/// the oldest ones may be missing. `now` as CLOCK_MONOTONIC.
std::vector<TimedSample> read_samples(const std::byte* base, const detail::DistributionCell& cell,
                                      std::uint64_t now);

}  // namespace signalbox::telemetry
