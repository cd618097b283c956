// Everything that a reader does with a segment, at once: for tests and fuzzing with damaged ones.
#pragma once

#include <string>

namespace signalbox::tests {

struct Reading {
    bool refused = false;  ///< not a segment that this version reads
    std::size_t violations = 0;
    std::string text;
    std::string json;
};

/// Opens the segment behind `descriptor` as the agent does (mapped: ticks, totals, workers, events) and as
/// signalbox-inspect does (copied: verified, and put into text and JSON with all figures and events). Aborts if a line
/// of the text is too long or carries what could harm a terminal, or if the JSON is none.
Reading read_everything(int descriptor);

}  // namespace signalbox::tests
