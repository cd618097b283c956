// Numbers as people read them: three significant digits and a fitting unit.
//
//     seconds(0.00123) == "1.23 ms"      bytes(50331648) == "48.0 MiB"      count(1234567) == "1,234,567"
//     rate(1234.5) == "1,235 /s"         age(3h + 12min) == "3 h 12 min"    percent(0.0123) == "1.23 %"
#pragma once

#include <QString>
#include <chrono>
#include <optional>

#include "common/wire/messages.hpp"

namespace signalbox::console {

/// What a missing value looks like.
QString missing();

QString seconds(double value);
QString bytes(double value);
QString count(double value);
QString rate(double perSecond);
QString percent(double fraction);
/// Of things that last: the two largest of d, h, min, s; below ten seconds as seconds().
QString age(std::chrono::nanoseconds length);
/// Local time of day, to the second or the millisecond.
QString clock(wire::WallTime time);
QString clockMilliseconds(wire::WallTime time);

template <typename Value, typename Format>
QString orMissing(const std::optional<Value>& value, Format format) {
    return value ? format(*value) : missing();
}

}  // namespace signalbox::console
