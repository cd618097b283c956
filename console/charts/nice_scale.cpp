#include "console/charts/nice_scale.hpp"

#include <QDateTime>
#include <QLocale>
#include <algorithm>
#include <array>
#include <cmath>

#include "console/models/units.hpp"

namespace signalbox::console {
namespace {

/// The smallest of 1, 2, 5 × 10^n that is at least `value`.
double roundUp(double value) {
    const double power = std::pow(10, std::floor(std::log10(value)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (factor * power >= value * (1 - 1e-9)) return factor * power;
    return 10 * power;
}

double roundUpToPowerOfTwo(double value) {
    return std::exp2(std::ceil(std::log2(value) - 1e-9));
}

/// The top of an axis whose values are all zero.
double heightOfNothing(Measure measure) {
    switch (measure) {
        case Measure::seconds:
            return 1e-3;
        case Measure::bytes:
            return 1024;
        case Measure::count:
        case Measure::rate:
            break;
    }
    return 1;
}

/// Axis labels are round, so trailing zeros are noise: "20 ms", not "20.0 ms".
QString label(double value, Measure measure) {
    if (value == 0) return QStringLiteral("0");
    QString text = written(value, measure);
    const auto unitAt = text.indexOf(QChar(0x00A0));
    QString number = unitAt < 0 ? text : text.left(unitAt);
    const QString unit = unitAt < 0 ? QString() : text.mid(unitAt);
    if (number.contains(u'.')) {
        while (number.endsWith(u'0'))
            number.chop(1);
        if (number.endsWith(u'.')) number.chop(1);
    }
    return measure == Measure::rate ? number : number + unit;
}

}  // namespace

QString written(double value, Measure measure) {
    switch (measure) {
        case Measure::count:
            return value == std::floor(value) ? count(value)
                                              : QLocale(QLocale::English).toString(value, 'f', 1);
        case Measure::rate:
            return rate(value);
        case Measure::seconds:
            return seconds(value);
        case Measure::bytes:
            return bytes(value);
    }
    return {};
}

double AxisScale::position(double value) const {
    if (logarithmic) {
        if (value <= low) return 0;
        return std::min(1.0, std::log(value / low) / std::log(high / low));
    }
    return std::clamp((value - low) / (high - low), 0.0, 1.0);
}

AxisScale linearScale(double highest, Measure measure, int most) {
    most = std::max(most, 1);
    if (!std::isfinite(highest) || highest <= 0) highest = heightOfNothing(measure);
    const double wanted = highest / most;
    double step = measure == Measure::bytes ? roundUpToPowerOfTwo(wanted) : roundUp(wanted);
    if (measure == Measure::count) step = std::max(step, 1.0);
    AxisScale scale;
    const auto steps = std::max(1.0, std::ceil(highest / step - 1e-9));
    // A line along the very top looks cut off.
    scale.high = highest > steps * step * 0.97 ? (steps + 0.25) * step : steps * step;
    for (double value = 0; value <= scale.high * (1 + 1e-9); value += step)
        scale.ticks.push_back({scale.position(value), label(value, measure)});
    return scale;
}

AxisScale logarithmicScale(double lowest, double highest, Measure measure, int most) {
    most = std::max(most, 2);
    lowest = std::max(lowest, 1e-9);
    highest = std::max(highest, lowest);
    AxisScale scale{.low = lowest / 1.25, .high = highest * 1.25, .logarithmic = true, .ticks = {}};
    if (scale.high / scale.low < 10) {
        const double middle = std::sqrt(scale.low * scale.high);
        scale.low = middle / std::sqrt(10.0);
        scale.high = middle * std::sqrt(10.0);
    }
    const auto candidates = [&](const std::vector<double>& factors, int everyDecades) {
        std::vector<double> values;
        const int first = static_cast<int>(std::floor(std::log10(scale.low)));
        const int last = static_cast<int>(std::ceil(std::log10(scale.high)));
        for (int decade = first; decade <= last; ++decade) {
            if (((decade % everyDecades) + everyDecades) % everyDecades != 0) continue;
            for (const double factor : factors)
                if (const double value = factor * std::pow(10, decade);
                    value >= scale.low && value <= scale.high)
                    values.push_back(value);
        }
        return values;
    };
    std::vector<double> chosen;
    const std::array<std::pair<std::vector<double>, int>, 5> densestFirst{
        {{{1, 2, 5}, 1}, {{1, 3}, 1}, {{1}, 1}, {{1}, 2}, {{1}, 3}}};
    for (const auto& [factors, decades] : densestFirst) {
        chosen = candidates(factors, decades);
        if (static_cast<int>(chosen.size()) <= most) break;
    }
    for (const double value : chosen)
        scale.ticks.push_back({scale.position(value), label(value, measure)});
    return scale;
}

std::vector<AxisTick> timeTicks(TimeRange range, int most) {
    using namespace std::chrono;
    static constexpr std::array<int, 10> kSteps{1, 2, 5, 10, 15, 30, 60, 120, 300, 600};
    const auto length = duration<double>(range.to - range.from).count();
    if (length <= 0) return {};
    int step = kSteps.back();
    for (const int candidate : kSteps)
        if (length / candidate <= std::max(most, 1)) {
            step = candidate;
            break;
        }
    const auto from = duration_cast<std::chrono::seconds>(range.from.time_since_epoch()).count();
    const auto to = duration_cast<std::chrono::seconds>(range.to.time_since_epoch()).count();
    std::vector<AxisTick> ticks;
    for (auto time = (from / step + 1) * step; time <= to; time += step) {
        const double position =
            duration<double>(sys_time<std::chrono::seconds>(std::chrono::seconds(time)) - range.from)
                .count() /
            length;
        ticks.push_back({position, QDateTime::fromSecsSinceEpoch(time).toString(
                                       step < 60 ? QStringLiteral("HH:mm:ss") : QStringLiteral("HH:mm"))});
    }
    return ticks;
}

}  // namespace signalbox::console
