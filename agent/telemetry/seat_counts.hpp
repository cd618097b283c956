// What one process has counted so far, for its arbiter.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/telemetry/segment.hpp"

namespace signalbox::telemetry {

/// What the process in `seat` has added to the counters called `name`, those of all labels together. It may be dead,
/// but the seat not yet retired.
std::uint64_t count_in_seat(Segment& segment, unsigned seat, std::string_view name);

}  // namespace signalbox::telemetry
