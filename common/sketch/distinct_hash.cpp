#include "common/sketch/distinct_hash.hpp"

#define XXH_INLINE_ALL  // a third of a short key's time would be the call into the library
#include <xxhash.h>

#include "common/sketch/ultra_log_log_registers.hpp"

namespace signalbox::sketch {

std::uint64_t distinct_hash(std::string_view bytes, std::uint64_t seed) noexcept {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

bool add_distinct(std::atomic<std::uint8_t>* registers, unsigned precision,
                  std::string_view element) noexcept {
    const std::uint64_t hash = XXH3_64bits_withSeed(element.data(), element.size(), kDistinctSeed);
    return ultra_log_log_add(registers, precision, hash);
}

}  // namespace signalbox::sketch
