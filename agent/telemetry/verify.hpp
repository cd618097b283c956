// Whether a segment is what its layout says, in every part: for `signalbox-inspect --verify` and tests.
//
//     SegmentView view(path, SegmentView::Hold::copy);
//     for (const std::string& violation : verify(view, Writers::gone)) fmt::print("{}\n", violation);
//
// Whoever dies in the middle of a record leaves it half-written; that is part of the layout and no violation.
// Reads every byte of the cells, so it takes about a second for a group of 64 workers.
#pragma once

#include <string>
#include <vector>

#include "agent/telemetry/view.hpp"

namespace signalbox::telemetry {

enum class Writers {
    gone,
    busy,  ///< they write on while this reads: what several words say together is not compared
};

/// A line for each violation, without text from the segment; none: it is sound. Stops at 1,000 of them.
std::vector<std::string> verify(const SegmentView& view, Writers writers);

/// Collects the lines.
class Violations {
public:
    static constexpr std::size_t kMost = 1000;

    /// `holds` is what ought to be.
    void expect(bool holds, std::string_view violation) {
        if (!holds && lines_.size() < kMost) lines_.emplace_back(violation);
    }
    void add(std::string line) { expect(false, line); }
    std::vector<std::string> take() { return std::move(lines_); }

private:
    std::vector<std::string> lines_;
};

/// The part about the lanes: heads, buckets and what lies beyond the cells that are taken.
void verify_lanes(const SegmentView& view, Writers writers, Violations& violations);

}  // namespace signalbox::telemetry
