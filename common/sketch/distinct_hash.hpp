// The hash under which every process of every group records the elements of a Distinct, so that their
// sketches merge.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace signalbox::sketch {

/// The one seed for sketches that leave their process: the first 16 digits of pi's fraction, in hexadecimal.
/// It is no secret, so who chooses the elements can choose them to collide; an estimate is no proof against
/// an adversary.
inline constexpr std::uint64_t kDistinctSeed = 0x243F6A8885A308D3;

/// XXH3's 64 bits of any bytes, the same on every machine: uniform, so fit for UltraLogLog. Any thread.
std::uint64_t distinct_hash(std::string_view bytes, std::uint64_t seed = kDistinctSeed) noexcept;

/// ultra_log_log_add() (ultra_log_log_registers.hpp) of distinct_hash(element), in one call: 4 ns for 16
/// bytes, 2 of them for the hash.
bool add_distinct(std::atomic<std::uint8_t>* registers, unsigned precision,
                  std::string_view element) noexcept;

}  // namespace signalbox::sketch
