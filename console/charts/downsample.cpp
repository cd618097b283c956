#include "console/charts/downsample.hpp"

#include <algorithm>
#include <cmath>

namespace signalbox::console {
namespace {

/// Thins a stretch to at most four points a column.
QList<QPointF> thinned(const QList<QPointF>& points) {
    QList<QPointF> kept;
    for (qsizetype begin = 0; begin < points.size();) {
        const double column = std::floor(points[begin].x());
        qsizetype end = begin + 1;
        while (end < points.size() && std::floor(points[end].x()) == column)
            ++end;
        const auto byHeight = [](const QPointF& a, const QPointF& b) { return a.y() < b.y(); };
        const auto [low, high] = std::minmax_element(points.begin() + begin, points.begin() + end, byHeight);
        std::vector<qsizetype> chosen{begin, low - points.begin(), high - points.begin(), end - 1};
        std::sort(chosen.begin(), chosen.end());
        chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
        for (const auto index : chosen)
            kept.append(points[index]);
        begin = end;
    }
    return kept;
}

}  // namespace

std::vector<QList<QPointF>> downsample(const TimeSeries& series, TimeRange range, int columns,
                                       const std::function<double(double)>& height) {
    const double length = std::chrono::duration<double>(range.to - range.from).count();
    std::vector<QList<QPointF>> stretches;
    if (length <= 0 || columns <= 0) return stretches;
    QList<QPointF> stretch;
    const auto finish = [&] {
        if (stretch.isEmpty()) return;
        if (stretch.size() == 1) {
            const QPointF only = stretch.front();
            stretch = {only - QPointF(1, 0), only + QPointF(1, 0)};
        }
        stretches.push_back(stretch.size() > columns ? thinned(stretch) : stretch);
        stretch.clear();
    };
    for (const auto& point : series) {
        if (point.value && std::isfinite(*point.value)) {
            const double since = std::chrono::duration<double>(point.time - range.from).count();
            stretch.append({since / length * columns, height(*point.value)});
        } else {
            finish();
        }
    }
    finish();
    return stretches;
}

std::optional<double> valueAt(const TimeSeries& series, WallTime time) {
    if (series.empty()) return std::nullopt;
    auto after = std::lower_bound(series.begin(), series.end(), time,
                                  [](const TimePoint& point, WallTime t) { return point.time < t; });
    if (after == series.end()) {
        // Beyond the end by more than the usual distance there is nothing.
        const auto usual = series.size() > 1 ? series.back().time - series[series.size() - 2].time
                                             : std::chrono::nanoseconds(std::chrono::seconds(1));
        return time - series.back().time <= 2 * usual ? series.back().value : std::nullopt;
    }
    if (after == series.begin()) {
        const auto usual = series.size() > 1 ? series[1].time - series[0].time
                                             : std::chrono::nanoseconds(std::chrono::seconds(1));
        return series.front().time - time <= 2 * usual ? series.front().value : std::nullopt;
    }
    const auto before = after - 1;
    return time - before->time < after->time - time ? before->value : after->value;
}

}  // namespace signalbox::console
