// The most frequent keys of one stream or of many, with what is certain about each: a mergeable value.
//
//     HeavyHitters all;
//     for (const SpaceSavingTable* table : tables) all.merge(read(*table));
//     for (const HeavyHitter& one : all.top(10))
//         std::cout << one.key << ": between " << one.at_least() << " and " << one.count << '\n';
//
// For every key, however the merges were grouped:
//
//     with an entry:       at_least() = count - error <= true weight <= count + missed
//     without one:         true weight <= unlisted[its set] + missed
//
// `missed` is 0 but for tables that several threads write. Merging follows Agarwal et al., "Mergeable
// summaries" (TODS 38:4, 2013, section 3), set by set of the tables (space_saving.hpp): counts and errors
// add; a key that only one side lists may have weighed up to `unlisted` on the other, which goes into its
// count and its error; of a set's entries the kWays largest stay, and the largest that goes bounds what is
// unlisted from then on. By induction over merges, with m = unlisted[s] and load(s) the weight of all keys of
// set s in all the streams together, the kept entries of the set satisfy
//
//     sum of max(count - m, 0) <= load(s) - kWays * m
//
// which for a single table is (1) of space_saving.hpp. So m <= load(s) / kWays: merging costs nothing of a
// single table's guarantee. (Where a counter was scribbled over, m is at least its count.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/sketch/space_saving.hpp"

namespace signalbox::sketch {

struct HeavyHitter {
    std::string key;          ///< any bytes, perhaps from outside: escape it; at most kKeyBytes
    std::uint64_t tag = 0;    ///< key_tag() of the whole key
    std::uint64_t count = 0;  ///< its weight is at most this
    std::uint64_t error = 0;  ///< and less by at most this

    /// Whether `key` is only the first kKeyBytes bytes of a longer one, which its tag tells from others.
    bool truncated() const { return is_truncated(tag); }
    std::uint64_t at_least() const { return count > error ? count - error : 0; }

    friend bool operator==(const HeavyHitter&, const HeavyHitter&) = default;
};

/// A value; not thread-safe.
struct HeavyHitters {
    std::vector<HeavyHitter> entries;  ///< ascending by tag, and so by set; at most kWays of each set
    /// For each of the kSets sets: no key of it without an entry weighs more.
    std::vector<std::uint64_t> unlisted = std::vector<std::uint64_t>(SpaceSavingTable::kSets);
    std::uint64_t total = 0;   ///< the weight of all keys, exactly, but for what was missed
    std::uint64_t missed = 0;  ///< weight that was added while another thread held its set

    void merge(const HeavyHitters& other);

    /// The `k` entries of the largest count, largest first, the smaller error first among equals.
    std::vector<HeavyHitter> top(std::size_t k) const;
    /// The entry of `key` (the whole one), or null.
    const HeavyHitter* find(std::string_view key) const;
    /// No weight, of any key, is known less exactly than this.
    std::uint64_t max_error() const;

    friend bool operator==(const HeavyHitters&, const HeavyHitters&) = default;
};

/// What `table` holds, from any thread or process and at any time. What it says was true at some moment
/// during the call, for each key at its own. A counter whose writer was killed while it changed hands gives no
/// entry; nor does one whose bytes make no sense, but its count still bounds what is unlisted. Takes 30 µs.
HeavyHitters read(const SpaceSavingTable& table);

/// Makes `table` hold what `from` says, for whoever may add() to it: read() then gives the same. Readers at
/// work see a set's counters change one by one.
void store(const HeavyHitters& from, SpaceSavingTable& table);

}  // namespace signalbox::sketch
