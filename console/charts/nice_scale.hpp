// Where an axis puts its labels: round numbers in the unit that is read (1 2 5 for seconds, powers of two for
// bytes, clock times for time).
//
//     AxisScale scale = linearScale(0.0043, Measure::seconds, 4);     // 0 … 5 ms, labels at 0, 2 ms, 4 ms
//     double y = scale.position(0.0021);                              // 0.42: 0 is the bottom, 1 the top
#pragma once

#include <QString>
#include <vector>

#include "console/charts/measure.hpp"
#include "console/store/tick_history.hpp"

namespace signalbox::console {

struct AxisTick {
    double position;  ///< 0 … 1 along the axis
    QString label;
};

struct AxisScale {
    double low = 0;
    double high = 1;
    bool logarithmic = false;
    std::vector<AxisTick> ticks;

    /// Where a value lies, clamped to 0 … 1.
    double position(double value) const;
};

/// From 0 to a round number of at least `highest`, with about `most` labels.
AxisScale linearScale(double highest, Measure measure, int most);
/// Around [lowest, highest], both positive, at least one decade; labels at powers of ten, more between if few
/// fit in.
AxisScale logarithmicScale(double lowest, double highest, Measure measure, int most);
/// Local clock times; positions are those between range.from and range.to.
std::vector<AxisTick> timeTicks(TimeRange range, int most);

}  // namespace signalbox::console
