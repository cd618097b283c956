#include "agent/telemetry/recent.hpp"

#include <algorithm>
#include <cmath>

#include "agent/telemetry/cells.hpp"
#include "agent/telemetry/retire.hpp"

namespace signalbox::telemetry {

std::optional<std::array<double, kAverages>> Recent::averages() const {
    if (samples.empty()) return std::nullopt;
    std::array<double, kAverages> averages;
    averages.fill(samples.front().value);
    for (const TimedSample& sample : samples) {
        double weight = 1;
        for (double& average : averages)
            average += (weight /= 2) * (sample.value - average);
    }
    return averages;
}

Recent read_recent(const SegmentView& view, const CheckedEntry& entry) {
    Recent recent;
    DistributionTotals totals;
    const std::uint64_t now = view.now();
    const RetiredWord retired = RetiredWord::unpack(view.header().retired.load(std::memory_order_acquire));
    add_cells(view.retired_lane(retired.active), entry.cell, totals);
    for (unsigned i = 0; i < view.geometry().seat_count; ++i) {
        const Seat& seat = view.seat(i);
        if (seat.pid.load(std::memory_order_acquire) == 0) continue;
        const std::uint32_t touched = seat.lanes_touched.load(std::memory_order_acquire);
        for (unsigned lane = 0; lane < view.geometry().lane_count; ++lane) {
            if ((touched >> lane & 1) == 0) continue;
            add_cells(view.lane(i, lane), entry.cell, totals);
            for (const TimedSample& sample : read_samples(view.lane(i, lane), entry.cell, now))
                if (std::isfinite(sample.value)) recent.samples.push_back(sample);
        }
    }
    std::stable_sort(
        recent.samples.begin(), recent.samples.end(),
        [](const TimedSample& a, const TimedSample& b) { return a.monotonic_ns < b.monotonic_ns; });
    if (recent.samples.size() > detail::kSampleRing)
        recent.samples.erase(recent.samples.begin(), recent.samples.end() - detail::kSampleRing);

    // A zero lies between the sides and has no time of its own.
    const bool zeros = totals.above.zeros > 0;
    const SideTotals& above = totals.above;
    const SideTotals& below = totals.below;
    if (below.max > 0)
        recent.min_monotonic_ns = below.max_monotonic_ns;
    else if (above.max > 0 && !zeros)
        recent.min_monotonic_ns = above.min_monotonic_ns;
    if (above.max > 0)
        recent.max_monotonic_ns = above.max_monotonic_ns;
    else if (below.max > 0 && !zeros)
        recent.max_monotonic_ns = below.min_monotonic_ns;
    return recent;
}

}  // namespace signalbox::telemetry
