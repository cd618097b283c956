// What a broken process has scribbled over is left out, and said.
//
// A seat or a directory entry that cannot be as it is: readers show and count everything else, and name what
// they left out. This is what is cheap enough to look at on every tick; verify.hpp looks at everything.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/telemetry/directory.hpp"

namespace signalbox::telemetry {

class SegmentView;

/// Something that readers leave out.
struct Fault {
    enum class Where { seat, entry };
    Where where = Where::seat;
    std::uint32_t index = 0;
    std::string text;  ///< "seat 3: its phase is 77"; without text from the segment
};

/// Why the seat's record cannot be believed; "" if it can, or if the seat is vacant.
std::string seat_fault(const SegmentView& view, unsigned seat);

/// Admits instruments one by one, unless their cells overlap those of an earlier one: they would be counted
/// twice, and a forged directory could make a reader work without end.
class CellScreen {
public:
    bool admit(const CheckedEntry& entry);

private:
    struct Part {
        std::uint64_t offset;
        std::uint64_t bytes;
    };
    bool is_free(const Part& part) const;
    std::map<std::uint64_t, std::uint64_t> taken_;  ///< from → to
};

/// All of them at present.
std::vector<Fault> find_faults(const SegmentView& view);

}  // namespace signalbox::telemetry
