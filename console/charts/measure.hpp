// What an axis counts, and how its values are written.
#pragma once

#include <QString>

namespace signalbox::console {

enum class Measure { count, rate, seconds, bytes };

QString written(double value, Measure measure);

}  // namespace signalbox::console
