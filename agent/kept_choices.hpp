// What was chosen while the group ran outlives an upgrade: tunables that somebody set, and how many workers there are.
//
// Read from the segment of the group before this one. What its code, its command line or its file said is left to those
// of the new program.
#pragma once

#include <string>
#include <vector>

#include "agent/supervisor/journal.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox {

struct KeptChoices {
    unsigned workers = 0;             ///< 0: nobody has scaled
    std::vector<std::string> kept{};  ///< "spin_threshold 250ms (operator alice)"
};

/// Gives the tunables of `segment` those values. In its arbiter. One that does not exist any more, or does not take its
/// value, is named in an event; so is a segment that cannot be read.
KeptChoices keep_choices(telemetry::Segment& segment, int predecessor, const supervisor::Journal& journal);

}  // namespace signalbox
