// Which code this process has mapped where, so that addresses mean something after its end.
#pragma once

#include <cstdint>

#include "agent/telemetry/layout.hpp"

namespace signalbox::telemetry {

/// Fills `modules` with the program, then its libraries in the order of loading, as far as there is room; returns how
/// many. Not async-signal-safe.
std::uint32_t write_module_table(CrashModule (&modules)[kCrashModules]);

}  // namespace signalbox::telemetry
