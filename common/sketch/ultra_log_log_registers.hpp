// The registers of UltraLogLog, a sketch that counts distinct elements: 2^p bytes that start as zeros, that
// any number of threads and processes update at once, and that merge.
//
//     std::atomic<std::uint8_t> registers[4096] = {};                    // or in a shared mapping; p is 12
//     ultra_log_log_add(registers, 12, distinct_hash("198.51.100.7"));   // distinct_hash.hpp
//
// Source: Otmar Ertl, "UltraLogLog: A Practical and More Space-Efficient Alternative to HyperLogLog for
// Approximate Distinct Counting", PVLDB 17(7), 2024: base 2, with two bits more. The lowest p bits of a hash
// choose the register, and the zeros above them, up to the first one, are counted, 63 - p at most. Where
// HyperLogLog keeps the largest such count of a register, this keeps also whether the two counts below it
// have occurred. A register is 0 while nothing has chosen it, else
//
//     4 * (p + most zeros) + 2 * (one zero fewer occurred) + (two zeros fewer occurred)
//
// (the paper has 1 in place of the p, with which reducing p would have to change every register). Every
// function here is defined for any bytes whatever, and none loops over a value: a register that someone
// scribbled over spoils the count and nothing else.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace signalbox::sketch {

/// 256 registers (error 4.8 %), 4,096 (1.2 %) and 65,536 (0.3 %).
inline constexpr unsigned kLeastDistinctPrecision = 8;
inline constexpr unsigned kDefaultDistinctPrecision = 12;
inline constexpr unsigned kMostDistinctPrecision = 16;

/// 2^precision, which is also their size in bytes.
constexpr std::uint64_t register_count(unsigned precision) noexcept {
    return std::uint64_t{1} << precision;
}

/// The register that has seen what either has seen. Associative, commutative, idempotent, no branch.
constexpr std::uint8_t merge_register(std::uint8_t a, std::uint8_t b) noexcept {
    const unsigned high = std::max(a, b);
    const unsigned low = std::min(a, b);
    // The three counts that `low` tells of, moved to where `high` has its own. A zero lies so far below any
    // other register (p >= 8) that nothing of it arrives.
    const std::uint64_t seen_by_low = 4 | (low & 3);
    return static_cast<std::uint8_t>(high | (seen_by_low >> ((high >> 2) - (low >> 2)) & 3));
}

/// The number of the register that `hash` chooses.
constexpr std::size_t register_index(std::uint64_t hash, unsigned precision) noexcept {
    return hash & (register_count(precision) - 1);
}

/// What that register is after nothing but `hash`.
constexpr std::uint8_t register_after(std::uint64_t hash, unsigned precision) noexcept {
    constexpr std::uint64_t kEnd = std::uint64_t{1} << 63;  // so that there is a one to end the zeros
    const std::uint64_t above_index = hash ^ register_index(hash, precision);
    return static_cast<std::uint8_t>(4 * std::countr_zero(above_index | kEnd));
}

/// Whether `before` has seen what register_after() tells of: merge_register(before, seen) == before, in fewer
/// steps.
constexpr bool includes(std::uint8_t before, std::uint8_t seen) noexcept {
    const int lead = before - seen;
    const std::uint64_t needed = std::uint64_t{4} >> (lead >> 2 & 63) & 3;  // of the two lowest bits
    return lead >= 0 && (needed & ~std::uint64_t{before}) == 0;
}

/// Records one element. True if that changed a register; once the same element, or many others, have been
/// recorded it mostly does not, and costs a load and a comparison. From any thread of any process that maps
/// them; lock-free, and no update is ever lost. `hash` must be uniform over 64 bits: never a key itself.
inline bool ultra_log_log_add(std::atomic<std::uint8_t>* registers, unsigned precision,
                              std::uint64_t hash) noexcept {
    std::atomic<std::uint8_t>& chosen = registers[register_index(hash, precision)];
    const std::uint8_t seen = register_after(hash, precision);
    std::uint8_t before = chosen.load(std::memory_order_relaxed);
    while (!includes(before, seen)) {
        const std::uint8_t after = merge_register(before, seen);
        if (chosen.compare_exchange_weak(before, after, std::memory_order_relaxed)) return true;
    }
    return false;
}

/// Merges `from` into `into`, `count` registers (a multiple of 16) of the same precision, 16 at a time;
/// blocks of zeros and blocks that are the same in both cost least.
void merge_registers(std::uint8_t* into, const std::uint8_t* from, std::size_t count) noexcept;

/// The same between shared mappings, both aligned to 8 bytes. Others may read both and write `from`
/// meanwhile; nobody else may write `into`, whose updates would be lost.
void merge_registers(std::atomic<std::uint8_t>* into, const std::atomic<std::uint8_t>* from,
                     std::size_t count) noexcept;

/// A copy of registers that others may be writing: `count` is a multiple of 16, `from` aligned to 8 bytes.
void copy_registers(std::uint8_t* into, const std::atomic<std::uint8_t>* from, std::size_t count) noexcept;

/// Whether recording can lead to this value: with no zero nothing fewer can have occurred, with one zero only
/// none.
constexpr bool register_can_occur(std::uint8_t value, unsigned precision) noexcept {
    const unsigned no_zero = 4 * precision;
    return value == 0 || value == no_zero || value == no_zero + 4 || value == no_zero + 6 ||
           value >= no_zero + 8;
}

/// Whether recording can lead to every one of these 2^precision registers.
bool registers_can_occur(const std::uint8_t* registers, unsigned precision) noexcept;

}  // namespace signalbox::sketch
