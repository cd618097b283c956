// The sum of a distribution's records, in two parts that are changed by one store each: see
// detail::DistributionHead.
//
// A move gives running_sum another start. The base that does not count takes up the difference, and `turn`
// passes over to it: bit 2 names the base that counts, bits 0 and 1 say where a move under way leads, the rest
// numbers the moves. While one is under way running_sum has its new start or has not, so that a reader, also
// that of a process that died there, knows which base goes with it. (If the old value is the new start, the
// bases are equal.)
#pragma once

#include <cstdint>

#include "signalbox/detail/lane.hpp"

namespace signalbox::telemetry {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;

inline constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;
/// Where running_sum starts if the next record is to be a sample.
inline constexpr std::uint64_t kSampleDue = kHalf - 1;

enum class Move : std::uint32_t {
    none = 0,
    to_due = 1,    ///< to kSampleDue
    to_pace = 2,   ///< to 2^sample_pace below that; sample_pace does not change meanwhile
    half_off = 3,  ///< 2^63 less than it was; of a lane that threads share
};

/// Where a move to_due or to_pace leads.
inline std::uint64_t start_after(const detail::DistributionHead& head, Move move) noexcept {
    const std::uint32_t pace = head.sample_pace.load(std::memory_order_relaxed) & 63;
    return move == Move::to_due ? kSampleDue : kSampleDue - (std::uint64_t{1} << pace);
}

/// Makes the move. Own lanes: the only writer. Shared ones: whoever took running_sum to 2^63.
void move_sum(detail::DistributionHead& head, Move move) noexcept;

/// In ticks; any process.
Uint128 read_sum(const detail::DistributionHead& head) noexcept;

/// Of a head that has no other writer or reader.
void store_sum(detail::DistributionHead& head, Uint128 sum) noexcept;

}  // namespace signalbox::telemetry
