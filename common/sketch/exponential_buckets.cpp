#include "common/sketch/exponential_buckets.hpp"

#include <cmath>

namespace signalbox::sketch {
namespace detail {
namespace {

/// sqrt for constant evaluation: Newton's iteration, to the last bits of a long double, for 1 <= x <= 2.
constexpr long double square_root(long double x) {
    long double root = x;
    for (int i = 0; i < 40; ++i)
        root = (root + x / root) / 2;
    return root;
}

/// 2^(n/128) for 0 <= n <= 128: the product of those of 2^(1/2), 2^(1/4) … 2^(1/128) that n's bits name.
constexpr long double power_of_two(int n) {
    long double power = n >= kBucketsPerOctave ? 2.0L : 1.0L;
    long double root = 2.0L;
    for (int bit = kBucketsPerOctave / 2; bit > 0; bit /= 2) {
        root = square_root(root);
        if (n & bit) power *= root;
    }
    return power;
}

/// The mantissa (0 … 2^52 - 1) at which sub-bucket `k` of an octave ends: larger ones belong to the next
/// bucket. No boundary but those of whole octaves is a double, so rounding down loses nothing.
constexpr std::uint64_t boundary_after(int k) {
    if (k < 0) return 0;
    if (k + 1 >= kBucketsPerOctave) return (std::uint64_t{1} << 52) - 1;
    return static_cast<std::uint64_t>((power_of_two(k + 1) - 1.0L) * 0x1p52L);
}

constexpr std::array<std::uint64_t, 256> make_steps() {
    constexpr std::uint64_t first = std::uint64_t{(1023 + kLowestExponent) * kBucketsPerOctave} << 45;
    std::array<std::uint64_t, 256> steps{};
    int bucket = -1;  // of the cell's beginning; a mantissa of zero is the upper bound of the octave below
    for (std::uint64_t cell = 0; cell < steps.size(); ++cell) {
        const std::uint64_t first_mantissa = cell << 44;
        while (first_mantissa > boundary_after(bucket))
            ++bucket;
        const std::uint64_t boundary = boundary_after(bucket);
        const auto next = static_cast<std::uint64_t>(bucket + 1);
        const bool divided = boundary >> 44 == cell;
        steps[cell] = (divided ? (next << 45) - (boundary + 1) : ((next - 1) << 45) - first_mantissa) - first;
    }
    return steps;
}

}  // namespace

constinit const std::array<std::uint64_t, 256> kCellSteps = make_steps();

}  // namespace detail

double bucket_upper_bound(int index, int scale) noexcept {
    return std::exp2(std::ldexp(static_cast<double>(index) + 1.0, -scale));
}

double bucket_midpoint(int index, int scale) noexcept {
    const double low = bucket_upper_bound(index - 1, scale);
    const double high = bucket_upper_bound(index, scale);
    return 2.0 * low * high / (low + high);
}

double relative_error(int scale) noexcept {
    const double base = std::exp2(std::ldexp(1.0, -scale));
    return (base - 1.0) / (base + 1.0);
}

}  // namespace signalbox::sketch
