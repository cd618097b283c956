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
/// at most 0.72 bucket of scale 7 and holds at most one boundary: the bucket is the cell's first one, plus
/// one if the mantissa lies above that boundary. Exact, and 2 KiB.
struct MantissaCell {
    std::uint64_t packed;  ///< boundary << 12 | (bucket before the boundary + 1)
};
extern const std::array<MantissaCell, 256> kMantissaCells;

}  // namespace detail

/// The bucket of `value` at scale 7. `value` must be finite, positive and normal (not subnormal).
/// Cost: one table look-up, no division, no logarithm. Any thread.
inline int bucket_index(double value) noexcept {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    const std::uint64_t mantissa = bits & ((std::uint64_t{1} << 52) - 1);
    const int exponent = static_cast<int>(bits >> 52) - 1023;
    const std::uint64_t cell = detail::kMantissaCells[mantissa >> 44].packed;
    const int before = static_cast<int>(cell & 0xfff) - 1;
    return exponent * kBucketsPerOctave + before + (mantissa > (cell >> 12) ? 1 : 0);
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
