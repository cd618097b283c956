// Reading what a worker is at.
#pragma once

#include <cstdint>
#include <string>

#include "agent/telemetry/layout.hpp"

namespace signalbox::telemetry {

/// A consistent copy of the activity, or "" if its writer is in the middle of it (also for good, if it died there).
/// `since` is set to when it began, on CLOCK_MONOTONIC.
std::string read_activity(const ActivityRecord& record, std::uint64_t& since);

}  // namespace signalbox::telemetry
