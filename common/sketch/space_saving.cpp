#include "common/sketch/space_saving.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// An add is some 70 instructions, and calls in between would be a tenth of its time: hence `flatten`, which
// compiles what most adds need into one function.
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

/// Keys of these lengths have code of their own in add(), without a branch that depends on the length.
inline bool is_of_usual_length(std::string_view key) noexcept {
    return key.size() - 8 <= 8;
}

inline std::uint64_t tag_of(std::string_view key) noexcept {
    std::uint64_t hash;
    if (is_of_usual_length(key)) {
        char ends[16];
        std::memcpy(ends, key.data(), 8);
        std::memcpy(ends + 8, key.data() + key.size() - 8, 8);
        hash = XXH3_64bits_withSeed(ends, sizeof(ends), key.size());
    } else {
        hash = XXH3_64bits(key.data(), key.size());
    }
    return (hash & ~std::uint64_t{0xff}) | (std::min(key.size(), Table::kKeyBytes + 1) + 1);
}

/// The way of the set that holds `tag`, or kWays. Without a branch.
inline std::size_t find(const Table::Set& set, std::uint64_t tag) noexcept {
#if defined(__SSE2__)
    // SSE2 compares halves. Packing leaves a byte for each, and those of a way next to each other.
    const auto* const pairs = reinterpret_cast<const __m128i*>(set.tags);
    const __m128i wanted = _mm_set1_epi64x(static_cast<long long>(tag));
    const auto equal = [&](std::size_t pair) {
        return _mm_cmpeq_epi32(_mm_load_si128(pairs + pair), wanted);
    };
    const __m128i halves =
        _mm_packs_epi16(_mm_packs_epi32(equal(0), equal(1)), _mm_packs_epi32(equal(2), equal(3)));
    const auto bits = static_cast<unsigned>(_mm_movemask_epi8(halves));
    const unsigned found = bits & bits >> 1 & 0x5555;
    return static_cast<unsigned>(std::countr_zero(found | 1u << 2 * Table::kWays)) / 2;
#else
    unsigned found = 1u << Table::kWays;
    for (std::size_t way = 0; way < Table::kWays; ++way)
        found |= static_cast<unsigned>(set.tags[way].load(relaxed) == tag) << way;
    return static_cast<unsigned>(std::countr_zero(found));
#endif
}

inline std::size_t smallest(const Table::Set& set) noexcept {
    std::size_t smallest = 0;
    for (std::size_t way = 1; way < Table::kWays; ++way)
        if (set.weights[way].load(relaxed) < set.weights[smallest].load(relaxed)) smallest = way;
    return smallest;
}

/// The limit, raised to the smallest count or, if (1) permits, a quarter above it.
std::uint64_t raised_limit(Table::Set& set, std::uint64_t least, std::uint64_t amount) noexcept {
    const std::uint64_t higher = least + least / 4;
    std::uint64_t sum = amount;  // in case that it goes to a counter above the limit
    for (std::size_t way = 0; way < Table::kWays; ++way)
        sum += std::max(higher, set.weights[way].load(relaxed));
    const bool permitted = sum <= set.added.load(relaxed);
    const std::uint64_t limit = std::max(set.limit.load(relaxed), permitted ? higher : least);
    set.limit.store(limit, relaxed);
    return limit;
}

/// Gives `way` to another key. A reader believes a way only if its tag was the same, and not zero, before and
/// after it read the rest, and the version did not change meanwhile. So the tag goes first and comes last,
/// and each store is a release: whoever sees one sees that the tag was gone before. (On x86 they cost nothing
/// more.) Killed in between, the way stays without a key; what the former key weighs, its cell says already.
void put(Table::Set& set, std::size_t way, std::uint64_t tag, std::string_view key, std::uint64_t count,
         std::uint64_t error) noexcept {
    set.version.store(set.version.load(relaxed) + 2, relaxed);
    set.tags[way].store(0, release);
    set.owners[way].error.store(error, release);
    std::uint64_t words[Table::kKeyBytes / sizeof(std::uint64_t)] = {};
    std::memcpy(words, key.data(), std::min(key.size(), Table::kKeyBytes));
    for (std::size_t i = 0; i < std::size(words); ++i)
        set.owners[way].key[i].store(words[i], release);
    set.weights[way].store(count, release);
    set.tags[way].store(tag, release);
}

/// An add to a key without a counter that would bring its cell above the limit.
[[gnu::noinline]] void add_above_limit(Table::Set& set, std::string_view key, std::uint64_t amount) noexcept {
    const std::uint64_t tag = tag_of(key);
    const std::size_t way = smallest(set);
    const std::uint64_t least = set.weights[way].load(relaxed);
    Table::Word& cell = set.weights[Table::kWays + cell_of(tag)];
    const std::uint64_t error = cell.load(relaxed);
    if (error + amount <= raised_limit(set, least, amount)) return cell.store(error + amount, relaxed);

    const std::uint64_t loser = set.tags[way].load(relaxed);
    Table::Word& cell_of_loser = set.weights[Table::kWays + cell_of(loser)];
    if (loser != 0 && cell_of_loser.load(relaxed) < least) cell_of_loser.store(least, relaxed);
    put(set, way, tag, key, error + amount, error);
}

/// What most adds are. It is for the processor to have several of them at work at a time, each some 70 cycles
/// long, which two things forbid. One is a branch that it guesses wrong; hence the arithmetic, since of two
/// alternatives the compiler makes a branch. The other is a register that the function saves on the stack and
/// restores behind the last store: whether that store changed the saved value is known only when its address
/// is, and in some processes (depending on where the stack and the table happen to lie) the processor waits
/// for it, so that adds of 8 ns took 19. Hence an address that the compiler does not take apart, which leaves
/// registers enough.
inline void update(Table& table, std::uint64_t tag, std::string_view key, std::uint64_t amount) noexcept {
    Table::Set* at = &table.sets[set_of(tag)];
    asm("" : "+r"(at));
    Table::Set& set = *at;
    const std::size_t way = find(set, tag);
    const std::uint64_t has_none = way / Table::kWays;  // 0 or 1
    const std::uint64_t limit = set.limit.load(relaxed) | (has_none - 1);
    Table::Word& weight = set.weights[way + (cell_of(tag) & (0 - has_none))];
    const std::uint64_t sum = weight.load(relaxed) + amount;
    set.added.store(set.added.load(relaxed) + amount, relaxed);
    if (sum > limit) [[unlikely]]
        return add_above_limit(set, key, amount);
    weight.store(sum, relaxed);
}

[[gnu::flatten, gnu::noinline]] void update_apart(Table& table, std::uint64_t tag, std::string_view key,
                                                  std::uint64_t amount) noexcept {
    update(table, tag, key, amount);
}

/// What the long way to a hash keeps on the stack is off it before the update: see there.
[[gnu::flatten, gnu::noinline]] void add_unusual(Table& table, std::string_view key,
                                                 std::uint64_t amount) noexcept {
    update_apart(table, tag_of(key), key, amount);
}

}  // namespace

std::uint64_t key_tag(std::string_view key) noexcept {
    return tag_of(key);
}

[[gnu::flatten]] void add(Table& table, std::string_view key, std::uint64_t amount) noexcept {
    if (!is_of_usual_length(key)) return add_unusual(table, key, amount);
    update(table, tag_of(key), key, amount);
}

[[gnu::flatten]] void add_shared(Table& table, std::string_view key, std::uint64_t amount) noexcept {
    const std::uint64_t tag = tag_of(key);
    Table::Word& version = table.sets[set_of(tag)].version;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        std::uint64_t free = version.load(relaxed) & ~kHeld;
        if (version.compare_exchange_weak(free, free | kHeld, std::memory_order_acquire, relaxed)) {
            update(table, tag, key, amount);
            version.store(version.load(relaxed) & ~kHeld, release);
            return;
        }
        pause();
    }
    table.missed.fetch_add(amount, relaxed);
}

void detail::put(Table::Set& set, std::size_t way, std::uint64_t tag, std::string_view key,
                 std::uint64_t count, std::uint64_t error) noexcept {
    sketch::put(set, way, tag, key, count, error);
}

}  // namespace signalbox::sketch
