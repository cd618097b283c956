#include "common/sketch/ultra_log_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace signalbox::sketch {
namespace {

void require_precision(unsigned precision) {
    if (precision >= kLeastDistinctPrecision && precision <= kMostDistinctPrecision) return;
    throw std::invalid_argument(
        fmt::format("precision {} is not within {} and {}: take {}, 4 KiB with an error of 1.2 %", precision,
                    kLeastDistinctPrecision, kMostDistinctPrecision, kDefaultDistinctPrecision));
}

/// What the registers say of the rate x at which elements choose a register, each with its own number of
/// zeros. That j zeros have occurred has the probability 1 - exp(-x * share_of(j)), and each register says of
/// some j that they have occurred, of some that they have not. So the log-likelihood of x is (paper, section
/// 3.1)
///
///     -x * absent + sum over i of present[i] * ln(1 - exp(-x / 2^i))
struct Likelihood {
    double absent = 0;                    ///< the shares of all that has not occurred
    std::array<double, 65> present = {};  ///< [i]: how often something with the share 2^-i has occurred
};

/// With what probability 2^-result an element of a register has `zeros` zeros. There are no more than 63 -
/// precision.
unsigned share_exponent(unsigned zeros, unsigned precision) {
    return std::min(zeros + 1, 63 - precision);
}

/// Adds what `times` registers of this value say.
void add_evidence(Likelihood& likelihood, std::uint8_t value, double times, unsigned precision) {
    if (value == 0) {
        likelihood.absent += times;
        return;
    }
    const unsigned zeros = std::max<unsigned>(value >> 2, precision) - precision;
    if (zeros < 63 - precision) likelihood.absent += std::ldexp(times, -static_cast<int>(zeros + 1));
    likelihood.present[share_exponent(zeros, precision)] += times;
    for (unsigned fewer = 1; fewer <= 2 && fewer <= zeros; ++fewer) {
        const unsigned exponent = share_exponent(zeros - fewer, precision);
        if (value >> (2 - fewer) & 1)
            likelihood.present[exponent] += times;
        else
            likelihood.absent += std::ldexp(times, -static_cast<int>(exponent));
    }
}

Likelihood likelihood_of(std::span<const std::uint8_t> registers, unsigned precision) {
    std::array<std::uint32_t, 256> times = {};
    for (const std::uint8_t value : registers)
        ++times[value];
    Likelihood likelihood;
    for (std::size_t value = 0; value < times.size(); ++value)
        if (times[value] > 0)
            add_evidence(likelihood, static_cast<std::uint8_t>(value), times[value], precision);
    return likelihood;
}

/// The x at which the likelihood is greatest: the zero of its derivative times x,
///
///     sum over i of present[i] * h(x / 2^i) - x * absent,   h(y) = y / (exp(y) - 1)
///
/// That function falls and is convex, so Newton's method from any point left of the zero approaches it
/// without ever passing it. Where its first step from 0 leads is easily said, and a few more suffice; but an
/// estimate must end for any registers: hence a bound.
double most_likely_rate(const Likelihood& likelihood) {
    constexpr int kMostSteps = 100;
    double all_present = 0;
    double first_slope = likelihood.absent;
    for (std::size_t i = 0; i < likelihood.present.size(); ++i) {
        all_present += likelihood.present[i];
        first_slope += std::ldexp(likelihood.present[i], -static_cast<int>(i)) / 2;
    }
    double rate = all_present / first_slope;
    for (int step = 0; step < kMostSteps; ++step) {
        double value = -rate * likelihood.absent;
        double slope = -likelihood.absent;
        for (std::size_t i = 0; i < likelihood.present.size(); ++i) {
            if (likelihood.present[i] == 0) continue;
            const double share = std::ldexp(1.0, -static_cast<int>(i));
            const double y = rate * share;
            const double h = y / std::expm1(y);
            value += likelihood.present[i] * h;
            slope += likelihood.present[i] * share * h * (1 - h - y) / y;
        }
        const double next = rate - value / slope;
        if (!(next > rate * (1 + 1e-12))) break;
        rate = next;
    }
    return rate;
}

}  // namespace

UltraLogLog::UltraLogLog(unsigned precision) : precision_(precision) {
    require_precision(precision);
    registers_.resize(register_count(precision));
}

UltraLogLog UltraLogLog::from_registers(std::span<const std::uint8_t> registers) {
    if (!std::has_single_bit(registers.size()) ||
        registers.size() < register_count(kLeastDistinctPrecision) ||
        registers.size() > register_count(kMostDistinctPrecision))
        throw std::invalid_argument(fmt::format("{} registers are not a power of two within {} and {}",
                                                registers.size(), register_count(kLeastDistinctPrecision),
                                                register_count(kMostDistinctPrecision)));
    UltraLogLog sketch(static_cast<unsigned>(std::countr_zero(registers.size())));
    for (std::size_t i = 0; i < registers.size(); ++i)
        if (!register_can_occur(registers[i], sketch.precision_))
            throw std::invalid_argument(fmt::format(
                "register {} of precision {} cannot be {}: something else has written there, drop the sketch",
                i, sketch.precision_, registers[i]));
    sketch.registers_.assign(registers.begin(), registers.end());
    return sketch;
}

bool UltraLogLog::add(std::uint64_t hash) {
    std::uint8_t& chosen = registers_[register_index(hash, precision_)];
    const std::uint8_t after = merge_register(chosen, register_after(hash, precision_));
    const bool changed = after != chosen;
    chosen = after;
    return changed;
}

void UltraLogLog::merge(const UltraLogLog& other) {
    if (other.precision_ > precision_) return merge(other.reduced_to(precision_));
    if (other.precision_ < precision_) *this = reduced_to(other.precision_);
    merge_registers(registers_.data(), other.registers_.data(), registers_.size());
}

bool UltraLogLog::merge_shared(const std::atomic<std::uint8_t>* registers, unsigned precision) {
    UltraLogLog copy(precision);  // what is checked must not change afterwards
    copy_registers(copy.registers_.data(), registers, copy.registers_.size());
    if (!registers_can_occur(copy.registers_.data(), precision)) return false;
    merge(copy);
    return true;
}

UltraLogLog UltraLogLog::reduced_to(unsigned precision) const {
    if (precision >= precision_) return *this;
    UltraLogLog reduced(precision);
    // Registers that differ only in the first bits of their numbers become one. For the first of them those
    // bits are zeros below an element's own: the sum, which a register counts from p, stays as it is. All
    // elements of another have the zeros with which those bits end.
    for (std::size_t i = 0; i < registers_.size(); ++i) {
        if (registers_[i] == 0) continue;
        const bool first = i < reduced.registers_.size();
        std::uint8_t& chosen = reduced.registers_[register_index(i, precision)];
        chosen = merge_register(chosen, first ? registers_[i] : register_after(i, precision));
    }
    return reduced;
}

double UltraLogLog::estimate() const {
    constexpr double kMost = 0x1p64;
    /// ln(2) * 3/2 * zeta(3, 5/4) / zeta(2, 5/4)^2 (as the paper has it): the bias of 2^p registers is this
    /// over 2^p.
    constexpr double kBias = 0.48147376527720065;
    if (empty()) return 0;
    const Likelihood likelihood = likelihood_of(registers_, precision_);
    if (likelihood.absent == 0) return kMost;  // every register is full
    const auto registers = static_cast<double>(registers_.size());
    return std::min(kMost, registers * most_likely_rate(likelihood) / (1 + kBias / registers));
}

double UltraLogLog::relative_standard_error() const {
    constexpr double kVariance = 0.57891;  // ln 2 / zeta(2, 5/4)
    return std::sqrt(kVariance / static_cast<double>(registers_.size()));
}

bool UltraLogLog::empty() const {
    return std::all_of(registers_.begin(), registers_.end(), [](std::uint8_t value) { return value == 0; });
}

}  // namespace signalbox::sketch
