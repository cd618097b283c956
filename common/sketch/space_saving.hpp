// The most frequent keys of a stream in 45 KiB, for shared memory: Space-Saving, set-associative and filtered.
//
//     static SpaceSavingTable table;              // any zeroed memory is an empty table
//     add(table, "GET /letters");                 // the owner thread; 7 to 9 ns
//     HeavyHitters seen = read(table);            // heavy_hitters.hpp; any process, at any time
//
// Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and top-k elements in data
// streams", ICDT 2005, section 3) keeps a fixed number of counters. A key that has one is counted in it; a
// key that has none takes over the smallest. Here a key's hash chooses a set of kWays counters and only those
// compete, as in a processor's cache. Most keys of a stream come once, and to give each a counter costs more
// than all else. So they go through a filter first (Homem, Carvalho: "Finding top-k elements in data
// streams", Information Sciences 180:24, 2010): the hash also chooses one of the set's kCells
// cells, plain sums for keys without a counter. What a cell holds is the most that such a key of it can
// weigh. An add that would bring the cell above the set's limit gives its key the smallest counter instead,
// which starts with the cell's weight as its maximum error; the cell of the key that loses the counter is
// raised to what that key had at most.
//
// The limit C is what all guarantees rest on. With N the weight added to all keys of the set, no cell is above
// C, and
//
//     sum over the counters of max(C, count) <= N.                                                        (1)
//
// Adding to a counter or a cell keeps this. So does a counter that changes hands, if C is at least its count:
// its term grows by at most the amount added. The original filter has C follow the smallest count, for which
// (1) says the sum of the counts; then a fixed share of the stream replaces keys for ever (here one add in
// ten). But what the cells took in leaves much room in (1), and C may be anything that (1) permits. Here it is
// raised a quarter above the smallest count if it may be: so replacements get rarer the longer the stream is.
//
// From (1) follows, for every key:
//
//     key has a counter:    count - error <= true weight <= count,    error <= C <= N / kWays
//     key has none:         true weight <= its cell <= C <= N / kWays
//
// which are the original's bounds (theorems 1 and 2) for the set's own part of the stream. More closely: a key
// weighs at most the larger of C and its count, so that with the weight of the set's j heaviest keys set aside,
// C is at most the rest of N divided by kWays - j, for every j < kWays, as in the original (Berinde et al.,
// "Space-optimal heavy hitters with strong error bounds", PODS 2009). A million keys by Zipf's law with
// exponent 1.1 spread so evenly that the largest error was 0.12 % of the total (measured). The worst case is a
// stream whose keys all fall into one set, which only somebody who computes hashes on purpose brings about:
// total / kWays. The stated errors hold even then.
//
// Keys are any bytes. One longer than kKeyBytes is kept as its first kKeyBytes bytes and the hash of all of
// it. Two keys count as one if their lengths (or both exceed kKeyBytes) and 56 bits of their hashes are the
// same: for a given key among a million others less than 1 chance in 5 * 10^10.
//
// Amounts must sum to less than 2^61 over a table's life.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace signalbox::sketch {

/// Every member is a lock-free word, zero means empty, there are no pointers: a table may lie in shared
/// memory at another address in each process. Writers go through add() or add_shared(), readers through
/// read() in heavy_hitters.hpp, which tolerates a writer at work, one that was killed anywhere in the middle
/// of an add, and bytes that no writer of this code put there.
struct SpaceSavingTable {
    static constexpr std::size_t kSets = 64;
    static constexpr std::size_t kWays = 8;
    static constexpr std::size_t kCells = 13;
    static constexpr std::size_t kCounters = kSets * kWays;
    static constexpr std::size_t kKeyBytes = 48;  ///< an IPv6 address as text takes 39

    using Word = std::atomic<std::uint64_t>;
    static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

    /// Of the key that a counter has; only written when it changes hands.
    struct Owner {
        Word error;                          ///< at most this much of the count is other keys'
        Word key[kKeyBytes / sizeof(Word)];  ///< in memory order
    };
    /// An add touches the line of the tags and one or two behind it.
    struct alignas(64) Set {
        Word tags[kWays];              ///< key_tag() of each counter's key; 0: none, or about to be replaced
        Word weights[kWays + kCells];  ///< the counts, then the cells; they only ever grow
        Word limit;    ///< the writer's own: C, for all that it has had reason to raise it so far
        Word added;    ///< by add() and add_shared()
        Word version;  ///< number of replacements << 1 | held by a thread in add_shared()
        Owner owners[kWays];
    };

    Set sets[kSets];
    Word stored;  ///< weight that store() brought
    Word missed;  ///< weight that add_shared() could not add: what is said of a key may be too low by this
};
static_assert(std::is_standard_layout_v<SpaceSavingTable> && sizeof(SpaceSavingTable) <= 48 * 1024);

/// Adds `amount` to `key`. Only for the one thread that owns `table`. Never blocks, allocates or fails.
/// Cost at 3.7 GHz, hash included: 7 to 8 ns for keys of 8 to 16 bytes, 9 for others up to 26, whether known or
/// not; in the mean of a new table's first 65,536 adds 10 ns by Zipf's law with exponent 1.1 and 12 of keys that
/// never come twice.
void add(SpaceSavingTable& table, std::string_view key, std::uint64_t amount = 1) noexcept;

/// The same for a table that several threads write, all of them through this. A thread holds its key's set
/// for the few nanoseconds of an update; one that finds it held tries a bounded number of times and then
/// counts `amount` as missed. So nobody waits for a thread that was killed or stopped while it held a set:
/// that set alone is frozen, what it would have counted is known from `missed`. Safe in a signal handler.
void add_shared(SpaceSavingTable& table, std::string_view key, std::uint64_t amount = 1) noexcept;

/// A key's identity: the upper 56 bits of its hash, and its length + 1 (longer than kKeyBytes: kKeyBytes + 2)
/// in the lower 8. The hash is XXH3, of a key of 8 to 16 bytes that of its first 8 bytes and its last 8, seeded with its length. Never 0; the same in every process.
std::uint64_t key_tag(std::string_view key) noexcept;

/// The set that a tag belongs to, below kSets.
constexpr std::size_t set_of(std::uint64_t tag) noexcept {
    return tag >> (64 - std::bit_width(SpaceSavingTable::kSets - 1));
}
/// The cell of the set, below kCells.
constexpr std::size_t cell_of(std::uint64_t tag) noexcept {
    return (tag >> 8 & 0xffff) * SpaceSavingTable::kCells >> 16;
}

/// What a tag says of its key's length. A tag of 0 or read from broken memory may not be one at all.
constexpr bool is_tag(std::uint64_t tag) noexcept {
    return (tag & 0xff) >= 1 && (tag & 0xff) <= SpaceSavingTable::kKeyBytes + 2;
}
constexpr bool is_truncated(std::uint64_t tag) noexcept {
    return (tag & 0xff) == SpaceSavingTable::kKeyBytes + 2;
}
/// How many bytes of the key are kept.
constexpr std::size_t stored_bytes(std::uint64_t tag) noexcept {
    return is_truncated(tag) ? SpaceSavingTable::kKeyBytes : (tag & 0xff) - 1;
}

namespace detail {

/// Makes a counter hold this, `key` being the kept bytes of that of `tag`, as a reader at work tolerates it.
/// Only for who may call add(). For store() in heavy_hitters.hpp.
void put(SpaceSavingTable::Set& set, std::size_t way, std::uint64_t tag, std::string_view key,
         std::uint64_t count, std::uint64_t error) noexcept;

}  // namespace detail

}  // namespace signalbox::sketch
