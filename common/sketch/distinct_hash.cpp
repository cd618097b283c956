#include "common/sketch/distinct_hash.hpp"

#define XXH_INLINE_ALL  // a third of a short key's time would be the call into the library
#include <xxhash.h>

#include "common/sketch/ultra_log_log_registers.hpp"

namespace signalbox::sketch {
namespace {

/// Elements of up to this many bytes have code of their own: of XXH3 the compiler keeps what few bytes need,
/// and saves no registers for the rest of it.
constexpr std::size_t kShort = 16;

[[gnu::noinline]] std::uint64_t hash_long(std::string_view bytes, std::uint64_t seed) noexcept {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

[[gnu::noinline]] bool add_long(std::atomic<std::uint8_t>* registers, unsigned precision,
                                std::string_view element) noexcept {
    return ultra_log_log_add(registers, precision, hash_long(element, kDistinctSeed));
}

}  // namespace

[[gnu::flatten]] std::uint64_t distinct_hash(std::string_view bytes, std::uint64_t seed) noexcept {
    if (bytes.size() > kShort) return hash_long(bytes, seed);
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

[[gnu::flatten]] bool add_distinct(std::atomic<std::uint8_t>* registers, unsigned precision,
                                   std::string_view element) noexcept {
    if (element.size() > kShort) return add_long(registers, precision, element);
    const std::uint64_t hash = XXH3_64bits_withSeed(element.data(), element.size(), kDistinctSeed);
    return ultra_log_log_add(registers, precision, hash);
}

}  // namespace signalbox::sketch
