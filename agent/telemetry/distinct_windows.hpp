// A Distinct's registers: how many different elements there were ever, in the last hour and in the last
// minute.
//
// Recording goes to one slice, that of the present ten seconds. A slice that is more than a minute old is
// merged into the one of its ten minutes, and that after an hour into the registers of all time; then it is
// used again. Merging a sketch twice changes nothing, so whoever dies in the middle of any of this leaves
// nothing lost and nothing counted twice, and a departed process' slices fold into the retired ones by the
// same steps. Slices are numbered by CLOCK_MONOTONIC, alike in all processes, so that those of one time merge.
#pragma once

#include <cstdint>

#include "agent/telemetry/layout.hpp"
#include "common/sketch/ultra_log_log.hpp"

namespace signalbox::telemetry {

inline constexpr std::uint64_t kMinuteSliceNs = 10'000'000'000;
inline constexpr std::uint64_t kHourSliceNs = 60 * kMinuteSliceNs;

/// Makes the slice of `now` the one that is recorded to. One thread of the process at a time.
void advance(DistinctBlock& block, unsigned precision, std::uint64_t now_monotonic_ns) noexcept;

/// Adds what `from` holds to `into`, which nobody else writes.
void fold(const DistinctBlock& from, DistinctBlock& into, unsigned precision) noexcept;

/// The union of any number of blocks.
struct DistinctUnion {
    explicit DistinctUnion(unsigned precision) : ever(precision), hour(precision), minute(precision) {}

    /// Adds a block that others may be writing. The windows end `now`; they reach back 60 to 70 seconds and
    /// 60 to 70 minutes. False if a register holds what recording cannot lead to: that slice is left out.
    bool add(const DistinctBlock& block, std::uint64_t now_monotonic_ns);

    sketch::UltraLogLog ever;
    sketch::UltraLogLog hour;
    sketch::UltraLogLog minute;
};

}  // namespace signalbox::telemetry
