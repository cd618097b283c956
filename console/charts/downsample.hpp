// A time series as the line segments that a chart of so many pixels draws.
#pragma once

#include <QList>
#include <QPointF>
#include <functional>
#include <vector>

#include "console/store/tick_history.hpp"

namespace signalbox::console {

/// One list of points per stretch without a gap; x runs from 0 to `columns` over the range. Where several
/// values share a column, its first, lowest, highest and last stay, so no peak is lost. A stretch of one
/// value becomes a short dash.
std::vector<QList<QPointF>> downsample(const TimeSeries& series, TimeRange range, int columns,
                                       const std::function<double(double)>& height);

/// The value that was shown at that instant: the nearest point's, unless a gap or the line's end lies nearer.
std::optional<double> valueAt(const TimeSeries& series, WallTime time);

}  // namespace signalbox::console
