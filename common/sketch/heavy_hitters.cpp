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

/// How often a set in which a counter changes hands under the reader is read again. Few do in a second.
constexpr int kAttempts = 50;

struct Counter {
    std::uint64_t tag;  ///< 0: it has no key, or changed hands
    std::uint64_t count;
    std::uint64_t error;
    std::array<char, Table::kKeyBytes> key;
    bool mixed;  ///< perhaps of the key's counter now and of that which it had before

    bool makes_sense(std::size_t set) const {
        if (mixed || !is_tag(tag) || set_of(tag) != set) return false;
        return is_truncated(tag) || key_tag({key.data(), stored_bytes(tag)}) == tag;
    }
};

struct SetCopy {
    std::array<Counter, Table::kWays> counters;
    std::uint64_t most_unlisted;
};

/// Each load is an acquire, so that none is done before those ahead of it: put() in space_saving.cpp says
/// what that is good for.
Counter copy_counter(const Table::Set& set, std::size_t way) {
    Counter counter;
    const std::uint64_t before = set.version.load(acquire) >> 1;
    counter.tag = set.tags[way].load(acquire);
    counter.error = set.owners[way].error.load(acquire);
    for (std::size_t i = 0; i < std::size(set.owners[way].key); ++i) {
        const std::uint64_t word = set.owners[way].key[i].load(acquire);
        std::memcpy(counter.key.data() + i * sizeof(word), &word, sizeof(word));
    }
    counter.count = set.weights[way].load(acquire);
    if (set.tags[way].load(acquire) != counter.tag) counter.tag = 0;
    counter.mixed = set.version.load(acquire) >> 1 != before;
    return counter;
}

/// No key that has no counter weighs more than its cell; one that lost its counter or got it meanwhile had
/// none for a moment, and its cell, which only grows, is read after that. A key whose counter makes no sense
/// may have it nevertheless.
std::uint64_t most_unlisted(const Table& table, std::size_t set, const SetCopy& copy) {
    std::uint64_t most = 0;
    for (std::size_t cell = 0; cell < Table::kCells; ++cell)
        most = std::max(most, table.sets[set].weights[Table::kWays + cell].load(relaxed));
    for (const Counter& counter : copy.counters)
        if (counter.tag != 0 && !counter.makes_sense(set)) most = std::max(most, counter.count);
    return most;
}

SetCopy copy_set(const Table& table, std::size_t set) {
    const Table::Word& version = table.sets[set].version;
    SetCopy copy;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const std::uint64_t before = version.load(acquire) >> 1;
        for (std::size_t way = 0; way < Table::kWays; ++way)
            copy.counters[way] = copy_counter(table.sets[set], way);
        if (version.load(acquire) >> 1 == before) break;
    }
    copy.most_unlisted = most_unlisted(table, set, copy);
    return copy;
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

void store_set(std::vector<const HeavyHitter*> entries, std::uint64_t unlisted, Table::Set& set) {
    std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return heavier(*a, *b); });
    if (entries.size() > Table::kWays) unlisted = std::max(unlisted, entries[Table::kWays]->count);
    for (std::size_t cell = 0; cell < Table::kCells; ++cell)
        set.weights[Table::kWays + cell].store(unlisted, relaxed);
    set.limit.store(unlisted, relaxed);
    set.added.store(0, relaxed);
    for (std::size_t way = 0; way < Table::kWays; ++way) {
        const HeavyHitter& one = way < entries.size() ? *entries[way] : HeavyHitter();
        detail::put(set, way, one.tag, one.key, one.count, one.error);
    }
}

}  // namespace

HeavyHitters read(const SpaceSavingTable& table) {
    HeavyHitters seen;
    seen.missed = table.missed.load(relaxed);
    seen.total = table.stored.load(relaxed);
    for (std::size_t set = 0; set < Table::kSets; ++set) {
        seen.total += table.sets[set].added.load(relaxed);
        const SetCopy copy = copy_set(table, set);
        seen.unlisted[set] = copy.most_unlisted;
        const auto first = static_cast<std::ptrdiff_t>(seen.entries.size());
        for (const Counter& counter : copy.counters)
            if (counter.makes_sense(set))
                seen.entries.push_back({std::string(counter.key.data(), stored_bytes(counter.tag)),
                                        counter.tag, counter.count, counter.error});
        std::sort(seen.entries.begin() + first, seen.entries.end(), by_tag);
    }
    return seen;
}

void store(const HeavyHitters& from, SpaceSavingTable& table) {
    std::array<std::vector<const HeavyHitter*>, Table::kSets> entries;
    for (const HeavyHitter& one : from.entries)
        entries[set_of(one.tag)].push_back(&one);
    for (std::size_t set = 0; set < Table::kSets; ++set)
        store_set(std::move(entries[set]), from.unlisted[set], table.sets[set]);
    table.stored.store(from.total, relaxed);
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
