#include "common/sketch/hyper_log_log.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <string_view>

namespace signalbox::sketch {
namespace {

/// "HYLL", the dense encoding (0), three unused bytes, and a cached estimate of 8 bytes whose highest bit
/// says that it is not up to date.
constexpr std::string_view kDenseHeader{"HYLL\0\0\0\0\0\0\0\0\0\0\0\x80", 16};
constexpr unsigned kBitsPerRegister = 6;

/// Registers of 6 bits without gaps, each from the lowest bit of a byte that is free upwards.
std::string packed(const std::vector<std::uint8_t>& registers) {
    std::string bytes;
    unsigned waiting = 0;
    unsigned bits = 0;
    for (const std::uint8_t value : registers) {
        waiting |= unsigned{value} << bits;
        for (bits += kBitsPerRegister; bits >= 8; bits -= 8) {
            bytes.push_back(static_cast<char>(waiting & 0xff));
            waiting >>= 8;
        }
    }
    return bytes;
}

}  // namespace

std::vector<std::uint8_t> hyper_log_log_registers(const UltraLogLog& sketch) {
    std::vector<std::uint8_t> registers;
    registers.reserve(sketch.registers().size());
    for (const std::uint8_t value : sketch.registers())
        registers.push_back(value == 0 ? std::uint8_t{0}
                                       : static_cast<std::uint8_t>((value >> 2) - sketch.precision() + 1));
    return registers;
}

std::string redis_hyper_log_log(const UltraLogLog& sketch) {
    if (sketch.precision() < kRedisPrecision)
        throw std::invalid_argument(
            fmt::format("precision {} is too small for Redis, whose HyperLogLogs have precision {}: record "
                        "with {} or more",
                        sketch.precision(), kRedisPrecision, kRedisPrecision));
    return std::string(kDenseHeader) + packed(hyper_log_log_registers(sketch.reduced_to(kRedisPrecision)));
}

}  // namespace signalbox::sketch
