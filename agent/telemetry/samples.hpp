// A sample in one word, so that it is never torn: the value as a float cut to 24 bits (relative error
// 2^-16, less than a bucket's), the time in 40 bits of 100 µs (CLOCK_MONOTONIC modulo 3.5 years).
#pragma once

#include <bit>
#include <cstdint>

namespace signalbox::telemetry {

struct TimedSample {
    double value = 0;                ///< in units
    std::uint64_t monotonic_ns = 0;  ///< cut to 100 µs
};

inline constexpr std::uint64_t kSampleClockNs = 100'000;
inline constexpr std::uint64_t kSampleTimeMask = (std::uint64_t{1} << 40) - 1;

inline std::uint64_t pack_sample(double value, std::uint64_t monotonic_ns) noexcept {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(static_cast<float>(value)) + 0x80;
    return std::uint64_t{bits >> 8} << 40 | (monotonic_ns / kSampleClockNs & kSampleTimeMask);
}

/// `now` is any instant less than 3.5 years after the sample's.
inline TimedSample unpack_sample(std::uint64_t word, std::uint64_t now_monotonic_ns) noexcept {
    const auto bits = static_cast<std::uint32_t>(word >> 40) << 8;
    const std::uint64_t now = now_monotonic_ns / kSampleClockNs;
    const std::uint64_t age = (now - word) & kSampleTimeMask;
    return {static_cast<double>(std::bit_cast<float>(bits)), (now - age) * kSampleClockNs};
}

}  // namespace signalbox::telemetry
