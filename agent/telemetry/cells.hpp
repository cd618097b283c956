// Reading and adding up cells, for the arbiter's folding and the collector. Offsets come from check_entry().
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/sketch/exponential_histogram.hpp"
#include "signalbox/detail/lane.hpp"

namespace signalbox::telemetry {

__extension__ typedef unsigned __int128 Uint128;

/// A distribution's cells as numbers. Buckets are those of scale 7, `first` counted from 0 =
/// sketch::kFirstBucket.
struct DistributionTotals {
    Uint128 sum = 0;                 ///< ticks
    std::uint64_t inverted_min = 0;  ///< of the positive values
    std::uint64_t max = 0;
    std::uint64_t zeros = 0;
    std::uint64_t underflow = 0;
    std::uint64_t overflow = 0;
    std::uint32_t first = 0;
    std::vector<std::uint64_t> counts;

    /// Makes `counts` reach over buckets [from, from + size).
    void cover(std::uint32_t from, std::size_t size);
    bool empty() const { return max == 0 && zeros == 0; }
};

/// Adds what lane `base` holds to `totals`. Reads only the buckets between the recorded extremes, so
/// untouched pages stay so.
void add_cells(const std::byte* base, const detail::DistributionCell& cell, DistributionTotals& totals);

/// Adds the cells of `from` to those of `into`. Only for lanes that nobody else writes.
void fold_cells(const std::byte* from, std::byte* into, const detail::DistributionCell& cell);

/// `now - before` as a histogram in units; extremes are not known for a difference. With an empty `before`
/// they are.
sketch::ExponentialHistogram difference(const DistributionTotals& now, const DistributionTotals& before,
                                        double units_per_tick);

}  // namespace signalbox::telemetry
