// Folding a departed process into the retired totals, exactly once.
//
// There are two retired lanes, of which Header::retired names the one that counts. A fold adds the seat's
// cells to the other one and then commits with a single store, which switches lanes and names the generation
// that is in it now. A reader counts the active lane plus every seat except the one named. Whoever dies at
// whatever point, each generation counts once: before the store in its seat, after it in the lane.
#pragma once

#include <cstdint>

#include "agent/telemetry/layout.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::telemetry {

/// Header::retired, taken apart.
struct RetiredWord {
    unsigned active = 0;
    unsigned seat = 0;             ///< whose cells are in the active lane already …
    std::uint64_t generation = 0;  ///< … if it still has this generation. 0: nobody's

    static RetiredWord unpack(std::uint64_t word) {
        return {static_cast<unsigned>(word & 1), static_cast<unsigned>(word >> 1 & 0x7ff), word >> 12};
    }
    /// Whether what that seat holds is in the active lane already.
    bool names(unsigned other_seat, std::uint64_t other_generation) const {
        return other_seat == seat && other_generation == generation && generation != 0;
    }
    std::uint64_t pack() const { return generation << 12 | std::uint64_t{seat & 0x7ffu} << 1 | (active & 1); }
};
static_assert(2 * kMaxSlots <= 0x7ff, "the arbiter's seat is the last");

/// Adds the cells of `seat`, whose process is gone, to the retired totals and empties the seat for the next
/// one; its rings stay, with the last words of the departed. The arbiter only.
void retire_seat(Segment& segment, unsigned seat);

}  // namespace signalbox::telemetry
