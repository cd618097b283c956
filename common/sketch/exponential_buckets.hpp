// The bucket boundaries of every distribution: base-2 exponential, upper bound inclusive.
//
// At scale s an octave has 2^s buckets; bucket i holds the values v with 2^(i/2^s) < v <= 2^((i+1)/2^s). That
// is the mapping of OTLP's ExponentialHistogram and, with i+1 in place of i, of Prometheus' native
// histograms, so both can be produced without loss. Halving the scale merges neighbours in pairs: i becomes i
// >> 1, also for negative i.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace signalbox::sketch {

/// The finest scale, which is what a worker records: 128 buckets an octave.
inline constexpr int kFinestScale = 7;
inline constexpr int kBucketsPerOctave = 1 << kFinestScale;

/// The coarsest scale that a sketch is reduced to: one bucket per four octaves.
inline constexpr int kCoarsestScale = -2;

/// Values at or below 2^kLowestExponent or above 2^kHighestExponent, in the base unit, count as under- and
/// overflow.
inline constexpr int kLowestExponent = -30;
inline constexpr int kHighestExponent = 34;
inline constexpr int kFirstBucket = kLowestExponent * kBucketsPerOctave;
inline constexpr int kLastBucket = kHighestExponent * kBucketsPerOctave - 1;
inline constexpr std::size_t kBucketCount = kLastBucket - kFirstBucket + 1;

namespace detail {

/// The mantissa range [0, 2^52) is cut into 256 cells. log2 is nowhere steeper than 1/ln 2, so a cell spans
/// at most 0.72 bucket of scale 7 and holds at most one boundary. With 128 buckets an octave a bucket is 2^45
/// mantissas wide on average; adding its cell's step to the bits of a double moves the boundary to the next
/// multiple of 2^45, so that bit 45 and up count buckets from kFirstBucket. Exact, and 2 KiB.
extern const std::array<std::uint64_t, 256> kCellSteps;

inline std::uint64_t stepped(double value) noexcept {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    return bits + kCellSteps[static_cast<std::uint8_t>(bits >> 44)];
}

}  // namespace detail

/// The bucket of `value` at scale 7. `value` must be finite, positive and normal (not subnormal).
/// Cost: one table look-up, no division, no logarithm. Any thread.
inline int bucket_index(double value) noexcept {
    return static_cast<int>(static_cast<std::int64_t>(detail::stepped(value)) >> 45) + kFirstBucket;
}

/// The same as a position, 0 for the first bucket, and kBucketCount or more if no bucket holds `value`,
/// whatever it is (zero, negative, subnormal, infinite, NaN).
inline std::uint64_t bucket_position(double value) noexcept {
    return detail::stepped(value) >> 45;
}

/// The upper (inclusive) bound of bucket `index` at `scale`; the lower (exclusive) one is that of `index -
/// 1`.
double bucket_upper_bound(int index, int scale) noexcept;

/// The value that stands for bucket `index`: no value of the bucket is further from it, relatively, than
/// `relative_error(scale)`. It is the harmonic mean of the two bounds.
double bucket_midpoint(int index, int scale) noexcept;

/// (g - 1) / (g + 1) with g = 2^(2^-scale): 0.00271 at scale 7, 0.01083 at scale 5.
double relative_error(int scale) noexcept;

}  // namespace signalbox::sketch
