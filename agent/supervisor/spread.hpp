// Numbers that differ from worker to worker and from group to group, so that what is due to all of them is not due at
// the same moment. The same worker always gets the same one: nothing has to be remembered.
#pragma once

#include <cstdint>

namespace signalbox::supervisor {

/// From 0 to below 1, evenly spread over `which` (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", 2014, figure 17).
constexpr double spread(std::uint64_t seed, std::uint64_t which) {
    std::uint64_t bits = seed + (which + 1) * 0x9e3779b97f4a7c15u;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111ebu;
    bits ^= bits >> 31;
    return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace signalbox::supervisor
