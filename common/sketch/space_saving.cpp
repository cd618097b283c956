#include "common/sketch/space_saving.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

// An add is 100 to 180 instructions, and calls in between would be a tenth of its time: hence `flatten`, which
// compiles all of it into one function.
namespace signalbox::sketch {
namespace {

using Table = SpaceSavingTable;
constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto release = std::memory_order_release;

/// How often add_shared() looks at a held set again: about a microsecond, far longer than an update takes.
constexpr int kAttempts = 100;

/// The bit of a set's version that says that a thread in add_shared() holds the set.
constexpr std::uint64_t kHeld = 1;

inline void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

inline std::uint64_t tag_of(std::string_view key) noexcept {
    const std::uint64_t length = std::min(key.size(), Table::kKeyBytes + 1);
    return (XXH3_64bits(key.data(), key.size()) & ~std::uint64_t{0xff}) | (length + 1);
}

/// One byte of the tag's hash; a set has those of its ways in one word, so that one comparison finds the way.
inline std::uint64_t fingerprint(std::uint64_t tag) noexcept {
    return tag >> 8 & 0xff;
}

/// The way of the set that holds `tag`, or kWays. The zero bytes of `difference` are candidates, and the
/// classic test for a zero byte (Warren, "Hacker's Delight", 6-1) marks each, but after the first sometimes
/// also one that is 1. The tag decides.
inline std::size_t find(const Table::Set& set, std::uint64_t fingerprints, std::uint64_t tag) noexcept {
    constexpr std::uint64_t ones = 0x0101'0101'0101'0101;
    const std::uint64_t difference = fingerprints ^ ones * fingerprint(tag);
    for (std::uint64_t zero = (difference - ones) & ~difference & ones << 7; zero != 0; zero &= zero - 1) {
        const auto way = static_cast<std::size_t>(std::countr_zero(zero)) / 8;
        if (set.owners[way].tag.load(relaxed) == tag) return way;
    }
    return Table::kWays;
}

/// The way with the smallest count, without branches, since which one it is cannot be predicted: the way's
/// number in the lowest bits makes a tournament of plain minima.
inline std::size_t smallest(const Table::Set& set) noexcept {
    const auto player = [&set](std::size_t way) {
        return set.counts[way].load(relaxed) * Table::kWays + way;
    };
    const auto winner = [](std::uint64_t a, std::uint64_t b) { return a < b ? a : b; };
    const std::uint64_t lower = winner(winner(player(0), player(1)), winner(player(2), player(3)));
    const std::uint64_t upper = winner(winner(player(4), player(5)), winner(player(6), player(7)));
    return winner(lower, upper) % Table::kWays;
}

template <typename Unsigned>
inline std::uint64_t loaded(const char* bytes) noexcept {
    Unsigned value;
    std::memcpy(&value, bytes, sizeof(value));
    return value;
}

/// The 1 to 7 bytes before `end` as a word, in memory order, with zeros behind. `length` is the whole key's:
/// reads overlap what is there already rather than touch a byte outside the key.
inline std::uint64_t last_word(const char* end, std::size_t length) noexcept {
    const std::size_t bytes = length % 8;
    if (length > 8) return loaded<std::uint64_t>(end - 8) >> (8 - bytes) * 8;
    if (bytes >= 4)
        return loaded<std::uint32_t>(end - bytes) | loaded<std::uint32_t>(end - 4) << (bytes - 4) * 8;
    const std::uint64_t outer = loaded<std::uint8_t>(end - bytes) | loaded<std::uint8_t>(end - 1)
                                                                        << (bytes - 1) * 8;
    return outer | loaded<std::uint8_t>(end - bytes + bytes / 2) << bytes / 2 * 8;
}

inline void store_key(Table::Word* words, std::string_view key) noexcept {
    const std::size_t length = std::min(key.size(), Table::kKeyBytes);
    const std::size_t whole = length / 8;
    for (std::size_t i = 0; i < whole; ++i)
        words[i].store(loaded<std::uint64_t>(key.data() + i * 8), release);
    if (length % 8 != 0) words[whole].store(last_word(key.data() + length, length), release);
}

/// Gives `way` to another key. A reader believes a way only if its tag was the same, and not zero, before and
/// after it read the rest, and the version did not change meanwhile. So the tag goes first and comes last,
/// and each store is a release: whoever sees one sees that the tag was gone before. (On x86 they cost nothing
/// more.) Killed in between, the way stays without a key, and its count is that of the one or the other.
inline void put(Table& table, std::size_t index, std::size_t way, std::uint64_t tag, std::string_view key,
                std::uint64_t count, std::uint64_t error) noexcept {
    Table::Set& set = table.sets[index];
    Table::Word& version = table.guides[index].version;
    version.store(version.load(relaxed) + 2, relaxed);
    set.owners[way].tag.store(0, release);
    set.owners[way].error.store(error, release);
    store_key(set.owners[way].key, key);
    set.counts[way].store(count, release);
    set.owners[way].tag.store(tag, release);

    Table::Word& fingerprints = table.guides[index].fingerprints;
    const std::uint64_t others = fingerprints.load(relaxed) & ~(std::uint64_t{0xff} << way * 8);
    fingerprints.store(others | fingerprint(tag) << way * 8, relaxed);
}

inline void update(Table& table, std::size_t index, std::uint64_t tag, std::string_view key,
                   std::uint64_t amount) noexcept {
    Table::Set& set = table.sets[index];
    std::size_t way = find(set, table.guides[index].fingerprints.load(relaxed), tag);
    if (way < Table::kWays) {
        set.counts[way].store(set.counts[way].load(relaxed) + amount, relaxed);
    } else {
        way = smallest(set);
        const std::uint64_t inherited = set.counts[way].load(relaxed);
        put(table, index, way, tag, key, inherited + amount, inherited);
    }
}

/// Keys of up to this many bytes have code of their own: of XXH3 the compiler keeps what few bytes need, and
/// saves no registers for the rest of it.
constexpr std::size_t kShort = 16;

[[gnu::flatten, gnu::noinline]] void add_long(Table& table, std::string_view key,
                                              std::uint64_t amount) noexcept {
    const std::uint64_t tag = tag_of(key);
    update(table, set_of(tag), tag, key, amount);
}

}  // namespace

std::uint64_t key_tag(std::string_view key) noexcept {
    return tag_of(key);
}

[[gnu::flatten]] void add(Table& table, std::string_view key, std::uint64_t amount) noexcept {
    if (key.size() > kShort) return add_long(table, key, amount);
    const std::uint64_t tag = tag_of(key);
    update(table, set_of(tag), tag, key, amount);
}

[[gnu::flatten]] void add_shared(Table& table, std::string_view key, std::uint64_t amount) noexcept {
    const std::uint64_t tag = tag_of(key);
    const std::size_t set = set_of(tag);
    Table::Word& version = table.guides[set].version;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        std::uint64_t free = version.load(relaxed) & ~kHeld;
        if (version.compare_exchange_weak(free, free | kHeld, std::memory_order_acquire, relaxed)) {
            update(table, set, tag, key, amount);
            version.store(version.load(relaxed) & ~kHeld, release);
            return;
        }
        pause();
    }
    table.missed.fetch_add(amount, relaxed);
}

void detail::put(Table& table, std::size_t set, std::size_t way, std::uint64_t tag, std::string_view key,
                 std::uint64_t count, std::uint64_t error) noexcept {
    sketch::put(table, set, way, tag, key, count, error);
}

}  // namespace signalbox::sketch
