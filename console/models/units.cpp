#include "console/models/units.hpp"

#include <QDateTime>
#include <QLocale>
#include <algorithm>
#include <array>
#include <cmath>

namespace signalbox::console {
namespace {

/// A space that neither stretches nor breaks, between a number and its unit.
constexpr QChar kNarrowSpace(0x00A0);

struct Unit {
    double size;
    const char16_t* name;
};

QString threeDigits(double value) {
    const double magnitude = std::abs(value);
    const int decimals = magnitude >= 99.95 || magnitude == 0 ? 0 : magnitude >= 9.995 ? 1 : 2;
    return QLocale::c().toString(value, 'f', decimals);
}

template <std::size_t N>
QString scaled(double value, const std::array<Unit, N>& largestFirst) {
    const Unit* unit = &largestFirst.back();
    for (const auto& candidate : largestFirst)
        // What rounds up to the next unit is shown in it: 1.00 s, not 1000 ms.
        if (std::abs(value) >= candidate.size * 0.9995) {
            unit = &candidate;
            break;
        }
    return threeDigits(value / unit->size) + kNarrowSpace + QString::fromUtf16(unit->name);
}

QString grouped(double value, int decimals) {
    QLocale locale(QLocale::English);
    return locale.toString(value, 'f', decimals);
}

QDateTime local(wire::WallTime time) {
    const auto sinceEpoch = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
    return QDateTime::fromMSecsSinceEpoch(sinceEpoch.count());
}

}  // namespace

QString missing() {
    return QStringLiteral("–");
}

QString seconds(double value) {
    static constexpr std::array<Unit, 4> kUnits{{{1, u"s"}, {1e-3, u"ms"}, {1e-6, u"µs"}, {1e-9, u"ns"}}};
    if (!std::isfinite(value)) return missing();
    if (value == 0) return QStringLiteral("0") + kNarrowSpace + QStringLiteral("s");
    if (value >= 120)
        return age(std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(value, 9e8) * 1e9)));
    return scaled(value, kUnits);
}

QString bytes(double value) {
    static constexpr std::array<Unit, 5> kUnits{
        {{0x1p40, u"TiB"}, {0x1p30, u"GiB"}, {0x1p20, u"MiB"}, {0x1p10, u"KiB"}, {1, u"B"}}};
    if (!std::isfinite(value)) return missing();
    return scaled(value, kUnits);
}

QString count(double value) {
    if (!std::isfinite(value)) return missing();
    return grouped(value, 0);
}

QString rate(double perSecond) {
    if (!std::isfinite(perSecond)) return missing();
    const int decimals = perSecond == 0 || std::abs(perSecond) >= 99.95 ? 0
                         : std::abs(perSecond) >= 0.995                 ? 1
                                                                        : 2;
    return grouped(perSecond, decimals) + kNarrowSpace + QStringLiteral("/s");
}

QString percent(double fraction) {
    if (!std::isfinite(fraction)) return missing();
    if (fraction > 0 && fraction < 0.0001) return QStringLiteral("< 0.01") + kNarrowSpace + u'%';
    return threeDigits(fraction * 100) + kNarrowSpace + u'%';
}

QString age(std::chrono::nanoseconds length) {
    using std::chrono::duration_cast;
    length = std::max(length, std::chrono::nanoseconds{0});
    if (length < std::chrono::seconds(10)) return seconds(std::chrono::duration<double>(length).count());
    const auto total = duration_cast<std::chrono::seconds>(length).count();
    struct Part {
        std::int64_t size;
        const char16_t* name;
    };
    static constexpr std::array<Part, 4> kParts{{{86400, u"d"}, {3600, u"h"}, {60, u"min"}, {1, u"s"}}};
    for (std::size_t i = 0; i < kParts.size(); ++i) {
        if (total < kParts[i].size) continue;
        QString text =
            QString::number(total / kParts[i].size) + kNarrowSpace + QString::fromUtf16(kParts[i].name);
        if (i + 1 < kParts.size())
            if (const auto rest = total % kParts[i].size / kParts[i + 1].size; rest > 0)
                text += kNarrowSpace + QString::number(rest) + kNarrowSpace +
                        QString::fromUtf16(kParts[i + 1].name);
        return text;
    }
    return missing();
}

QString clock(wire::WallTime time) {
    return local(time).toString(QStringLiteral("HH:mm:ss"));
}

QString clockMilliseconds(wire::WallTime time) {
    return local(time).toString(QStringLiteral("HH:mm:ss.zzz"));
}

}  // namespace signalbox::console
