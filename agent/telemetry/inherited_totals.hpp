// What another group has recorded, as part of this one's totals: for the group that takes over from it.
//
//     InheritedTotals inherited(segment, descriptor);     // the other group's segment
//     inherited.advance();                                // now and then, while its processes still record
//     inherited.finish();                                 // when the last of them has ended
//
// The other group's workers count until they have drained, so its totals cannot be taken once, when it hands over: what
// they still count would be missing, and nobody but its arbiter could tell when it is complete. Nor are they handed over
// as a message at the end: an arbiter that is killed would take them along. So the new arbiter reads the old segment,
// believing it no more than any reader does, and keeps its totals as of the last look in a lane of its own: that of the
// arbiter's seat for threads without one, of which an arbiter has none. They only grow there; each look stores what has
// come since. Readers find the sum of both groups without knowing of this, and so does the next group that takes over.
//
// Instruments are the same if kind, name and labels are; what this group does not have (yet) is registered, so that a
// family's series go on. One that is another kind of instrument here stays behind; obstacles() names it. Gauges end with
// their processes.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/telemetry/collector.hpp"
#include "agent/telemetry/segment.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::telemetry {

class InheritedTotals {
public:
    /// `descriptor` stays the caller's. The arbiter only, and after the program's own instruments have been registered.
    /// Throws SegmentError.
    InheritedTotals(Segment& segment, int descriptor);
    ~InheritedTotals();
    InheritedTotals(const InheritedTotals&) = delete;
    InheritedTotals& operator=(const InheritedTotals&) = delete;

    /// Takes over what has been recorded since the last look. While the other arbiter folds without a pause, the rest
    /// comes with the next.
    void advance();
    /// The same, of a group that has ended, wherever in a fold its arbiter was killed.
    void finish();

    /// Instruments that could not be taken over, and why; each once.
    std::vector<std::string> take_obstacles() { return std::exchange(obstacles_, {}); }

private:
    struct Place {
        bool known = false;
        std::optional<InstrumentCell> cell;  ///< none: it stays behind
    };
    void take(const SegmentView& view, Collector& collector);
    const InstrumentCell* place_of(const CheckedEntry& entry);
    void learn_own();

    Segment& segment_;
    int descriptor_;
    std::byte* lane_;
    SegmentView view_;
    Collector collector_;
    std::vector<Place> places_;                           ///< by the index of the other group's entry
    std::unordered_map<std::string, std::uint32_t> own_;  ///< entries of this group, by kind, name and labels
    std::uint32_t own_next_ = 0;
    std::vector<std::string> obstacles_;
};

}  // namespace signalbox::telemetry
