// What the cells know of a distribution beyond its histogram: when the extremes were, and the last samples.
//
//     const Recent recent = read_recent(view, *view.entry(index));
//     for (const TimedSample& sample : recent.samples) plot(view.wall_time(sample.monotonic_ns), sample.value);
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "agent/telemetry/samples.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::telemetry {

/// Exponential averages weigh the newest sample by 1/2, 1/4 … 1/64 and what came before by the rest.
inline constexpr std::size_t kAverages = 6;

struct Recent {
    std::optional<std::uint64_t> min_monotonic_ns;  ///< when the smallest value was; none of an empty one
    std::optional<std::uint64_t> max_monotonic_ns;
    /// Of all workers that live, the newest detail::kSampleRing, oldest first. Of a busy instrument every so
    /// many (see Distribution).
    std::vector<TimedSample> samples;
    /// Of `samples`, by weight 1/2 … 1/64; the first sample counts whole. Nothing without samples.
    std::optional<std::array<double, kAverages>> averages() const;
};

/// `entry` is that of a distribution.
Recent read_recent(const SegmentView& view, const CheckedEntry& entry);

}  // namespace signalbox::telemetry
