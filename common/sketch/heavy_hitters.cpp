#include "common/sketch/heavy_hitters.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace signalbox::sketch {
namespace {

using Table = SpaceSavingTable;
constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;

/// How often a set that changes under the reader is read again. A replacement takes some 15 ns, and a set sees
/// few in a microsecond, so that more than a few times means a writer that died or stopped in the middle, or
/// keys that crowd into one set.
constexpr int kAttempts = 50;

struct Counter {
    std::uint64_t tag;
    std::uint64_t count;
    std::uint64_t error;
    std::array<char, Table::kKeyBytes> key;
    bool changing;  ///< it was changing hands; of the rest only `count` means something

    bool has_key(std::size_t set) const {
        if (changing || count == 0 || !is_tag(tag) || set_of(tag) != set) return false;
        return is_truncated(tag) || key_tag({key.data(), stored_bytes(tag)}) == tag;
    }
};

struct SetCopy {
    std::array<Counter, Table::kWays> counters;
    bool replaced;  ///< a counter changed hands meanwhile
};

/// Each load is an acquire, so that none is done before those ahead of it: put() in space_saving.cpp says
/// what that is good for.
Counter copy_counter(const Table::Set& set, const Table::Word& version, std::size_t way) {
    Counter counter;
    const std::uint64_t before = version.load(acquire) >> 1;
    counter.tag = set.owners[way].tag.load(acquire);
    counter.error = set.owners[way].error.load(acquire);
    for (std::size_t i = 0; i < std::size(set.owners[way].key); ++i) {
        const std::uint64_t word = set.owners[way].key[i].load(acquire);
        std::memcpy(counter.key.data() + i * sizeof(word), &word, sizeof(word));
    }
    counter.count = set.counts[way].load(acquire);
    const bool same_key =
        set.owners[way].tag.load(acquire) == counter.tag && version.load(acquire) >> 1 == before;
    counter.changing = !same_key || (counter.tag == 0 && counter.count > 0);
    return counter;
}

SetCopy copy_set(const Table& table, std::size_t index) {
    const Table::Word& version = table.guides[index].version;
    SetCopy copy;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const std::uint64_t before = version.load(acquire) >> 1;
        bool changing = false;
        for (std::size_t way = 0; way < Table::kWays; ++way) {
            copy.counters[way] = copy_counter(table.sets[index], version, way);
            changing |= copy.counters[way].changing;
        }
        copy.replaced = version.load(acquire) >> 1 != before;
        if (!changing && !copy.replaced) break;
    }
    return copy;
}

/// A key that has no counter weighs at most the smallest count, and at most that of the counter it lost. The
/// latter may be larger than others if it was lost while those had been read, or if it has no key now.
std::uint64_t most_unlisted(const SetCopy& copy, std::size_t set) {
    std::uint64_t least = UINT64_MAX;
    std::uint64_t largest_lost = 0;
    for (const Counter& counter : copy.counters) {
        least = std::min(least, counter.count);
        if (copy.replaced || !counter.has_key(set)) largest_lost = std::max(largest_lost, counter.count);
    }
    return std::max(least, largest_lost);
}

bool by_tag(const HeavyHitter& a, const HeavyHitter& b) {
    return a.tag < b.tag;
}

bool heavier(const HeavyHitter& a, const HeavyHitter& b) {
    if (a.count != b.count) return a.count > b.count;
    return a.error != b.error ? a.error < b.error : a.tag < b.tag;
}

/// Leaves the kWays heaviest entries of each set.
void trim(HeavyHitters& hitters) {
    std::vector<HeavyHitter>& entries = hitters.entries;
    auto kept = entries.begin();
    for (auto first = entries.begin(); first != entries.end();) {
        const std::size_t set = set_of(first->tag);
        const auto last = std::find_if(first, entries.end(),
                                       [set](const HeavyHitter& one) { return set_of(one.tag) != set; });
        auto end = last;
        if (last - first > static_cast<std::ptrdiff_t>(Table::kWays)) {
            end = first + Table::kWays;
            std::nth_element(first, end, last, heavier);
            hitters.unlisted[set] = std::max(hitters.unlisted[set], end->count);
            std::sort(first, end, by_tag);
        }
        kept = first == kept ? end : std::move(first, end, kept);
        first = last;
    }
    entries.erase(kept, entries.end());
}

/// One set's entries into its ways. What a key without an entry may weigh is read off the smallest count
/// again; if that would say too little, a counter without a key says it.
void store_set(std::vector<const HeavyHitter*> entries, std::uint64_t unlisted, Table& table,
               std::size_t set) {
    std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return heavier(*a, *b); });
    if (entries.size() > Table::kWays) {
        unlisted = std::max(unlisted, entries[Table::kWays]->count);
        entries.resize(Table::kWays);
    }
    const bool full = entries.size() == Table::kWays;
    const bool needs_keyless = unlisted > (full ? entries.back()->count : 0);
    if (full && needs_keyless) entries.pop_back();
    for (std::size_t way = 0; way < Table::kWays; ++way) {
        if (way < entries.size()) {
            const HeavyHitter& one = *entries[way];
            detail::put(table, set, way, one.tag, one.key, one.count, one.error);
        } else {
            const bool keyless = needs_keyless && way == entries.size();
            detail::put(table, set, way, 0, {}, keyless ? unlisted : 0, 0);
        }
    }
}

}  // namespace

HeavyHitters read(const SpaceSavingTable& table) {
    HeavyHitters seen;
    seen.missed = table.missed.load(relaxed);
    seen.total = table.uncounted.load(relaxed);
    for (std::size_t set = 0; set < Table::kSets; ++set) {
        const SetCopy copy = copy_set(table, set);
        const auto first = static_cast<std::ptrdiff_t>(seen.entries.size());
        for (const Counter& counter : copy.counters) {
            seen.total += counter.count;
            if (counter.has_key(set))
                seen.entries.push_back({std::string(counter.key.data(), stored_bytes(counter.tag)),
                                        counter.tag, counter.count, counter.error});
        }
        seen.unlisted[set] = most_unlisted(copy, set);
        std::sort(seen.entries.begin() + first, seen.entries.end(), by_tag);
    }
    return seen;
}

void store(const HeavyHitters& from, SpaceSavingTable& table) {
    std::array<std::vector<const HeavyHitter*>, Table::kSets> entries;
    for (const HeavyHitter& one : from.entries)
        entries[set_of(one.tag)].push_back(&one);
    for (std::size_t set = 0; set < Table::kSets; ++set)
        store_set(std::move(entries[set]), from.unlisted[set], table, set);

    std::uint64_t counted = 0;
    for (const Table::Set& set : table.sets)
        for (const Table::Word& count : set.counts)
            counted += count.load(relaxed);
    table.uncounted.store(from.total - counted, relaxed);
    table.missed.store(from.missed, relaxed);
}

void HeavyHitters::merge(const HeavyHitters& other) {
    std::vector<HeavyHitter> both;
    both.reserve(entries.size() + other.entries.size());
    const auto add_one_sided = [&both](const HeavyHitter& one, const HeavyHitters& elsewhere) {
        const std::uint64_t perhaps = elsewhere.unlisted[set_of(one.tag)];
        both.push_back({one.key, one.tag, one.count + perhaps, one.error + perhaps});
    };
    auto mine = entries.begin();
    auto theirs = other.entries.begin();
    while (mine != entries.end() || theirs != other.entries.end()) {
        if (theirs == other.entries.end() || (mine != entries.end() && mine->tag < theirs->tag)) {
            add_one_sided(*mine++, other);
        } else if (mine == entries.end() || theirs->tag < mine->tag) {
            add_one_sided(*theirs++, *this);
        } else {
            both.push_back({mine->key, mine->tag, mine->count + theirs->count, mine->error + theirs->error});
            ++mine;
            ++theirs;
        }
    }
    entries = std::move(both);
    for (std::size_t set = 0; set < unlisted.size(); ++set)
        unlisted[set] += other.unlisted[set];
    total += other.total;
    missed += other.missed;
    trim(*this);
}

std::vector<HeavyHitter> HeavyHitters::top(std::size_t k) const {
    std::vector<HeavyHitter> heaviest(std::min(k, entries.size()));
    std::partial_sort_copy(entries.begin(), entries.end(), heaviest.begin(), heaviest.end(), heavier);
    return heaviest;
}

const HeavyHitter* HeavyHitters::find(std::string_view key) const {
    HeavyHitter wanted;
    wanted.tag = key_tag(key);
    const auto found = std::lower_bound(entries.begin(), entries.end(), wanted, by_tag);
    return found != entries.end() && found->tag == wanted.tag ? &*found : nullptr;
}

std::uint64_t HeavyHitters::max_error() const {
    std::uint64_t largest = *std::max_element(unlisted.begin(), unlisted.end());
    for (const HeavyHitter& one : entries)
        largest = std::max(largest, one.error);
    return largest;
}

}  // namespace signalbox::sketch
