// How many distinct elements there were, in 2^p bytes, whatever their number: a mergeable sketch.
//
//     UltraLogLog visitors;                                        // p = 12: 4 KiB, standard error 1.19 %
//     visitors.add(distinct_hash("198.51.100.7"));                 // distinct_hash.hpp
//     visitors.merge(yesterday);                                   // whoever came on both days counts once
//     std::cout << visitors.estimate();
//
// Merging any number of sketches in any order gives exactly the sketch of everything recorded into one, so
// the error is that of one sketch. Merging different precisions reduces to the smaller one, as if recorded at
// it. Its registers, and recording in shared memory, are in ultra_log_log_registers.hpp. A value type; not
// thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "common/sketch/ultra_log_log_registers.hpp"

namespace signalbox::sketch {

class UltraLogLog {
public:
    /// An empty sketch of 2^precision registers. Throws std::invalid_argument if `precision` is not within 8
    /// … 16.
    explicit UltraLogLog(unsigned precision = kDefaultDistinctPrecision);

    /// The sketch with these registers, which may come from anywhere. Throws std::invalid_argument that says
    /// what is wrong if their number is not 2^8 … 2^16 or which one has a value that recording cannot lead
    /// to.
    static UltraLogLog from_registers(std::span<const std::uint8_t> registers);

    /// Records one element; `hash` must be uniform over 64 bits (distinct_hash() is). True if it changed a
    /// register.
    bool add(std::uint64_t hash);

    /// Adds what `other` has recorded. The precision becomes the smaller of the two.
    void merge(const UltraLogLog& other);

    /// Adds what 2^precision registers in shared memory have recorded, which others may go on writing;
    /// aligned to 8 bytes. False, and nothing changes, if one of them has a value that recording cannot lead
    /// to: then something else has written there.
    [[nodiscard]] bool merge_shared(const std::atomic<std::uint8_t>* registers, unsigned precision);

    /// The same data at a smaller precision (a greater one is not possible and leaves it as it is). Throws
    /// std::invalid_argument below 8.
    UltraLogLog reduced_to(unsigned precision) const;

    /// How many distinct elements were recorded: 0 if none were, never more than 2^64. The maximum of the
    /// likelihood under the Poisson model (the paper's section 3.1), less its first-order bias. Takes
    /// microseconds.
    double estimate() const;

    /// The standard deviation of estimate() over the true number, for large numbers: sqrt(ln 2 / zeta(2, 5/4)
    /// / 2^p) (the paper's asymptotic limit for this estimator, base 2 and two bits more), which is 0.7608 /
    /// sqrt(2^p): 0.0476 at p 8, 0.0119 at 12, 0.0030 at 16. Up to about 2^p elements it is two thirds of
    /// that. Its square times 8 * 2^p bits is 4.63 (HyperLogLog's is 6.5 with registers of 6 bits, 8.6 with
    /// those of 8).
    double relative_standard_error() const;

    bool empty() const;
    unsigned precision() const { return precision_; }
    /// As ultra_log_log_registers.hpp describes them.
    std::span<const std::uint8_t> registers() const { return registers_; }

    friend bool operator==(const UltraLogLog&, const UltraLogLog&) = default;

private:
    unsigned precision_;
    std::vector<std::uint8_t> registers_;
};

}  // namespace signalbox::sketch
