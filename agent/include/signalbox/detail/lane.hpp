// The hot path: how a thread reaches its cells and updates them. Not for direct use.
//
// A lane is a copy of all cells. Every seat has several: one for the thread that attached, some that other
// threads take for themselves at their first record, and one that all further threads share. In a lane of its
// own a thread updates with plain loads and stores; the shared one takes atomic additions. Two plain writers
// on one cell would lose updates, so the rule is one writer per lane, or atomics.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "common/sketch/exponential_buckets.hpp"

namespace signalbox::detail {

using Word = std::atomic<std::uint64_t>;
using Bucket = std::atomic<std::uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8 && sizeof(Bucket) == 4);

/// The calling thread's own lane; null: it has none (yet), or the process has not attached.
/// Constant-initialized, so reading it is one load off the thread pointer.
inline thread_local constinit std::byte* own_lane = nullptr;

/// For a thread without a lane of its own: takes one, or uses the shared one; nothing if not attached.
void add_elsewhere(std::uint32_t offset, std::uint64_t amount) noexcept;
/// The cell of a gauge, one per process; null if the process has not attached.
Word* process_word(std::uint32_t offset) noexcept;

// Plain additions of the only writer. Compilers do not merge a relaxed load, an addition and a relaxed store
// into the one instruction that does it; that instruction is a third of the cost of a record.
#if defined(__SANITIZE_THREAD__)
#define SIGNALBOX_PLAIN_ADDITIONS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALBOX_PLAIN_ADDITIONS 0
#endif
#endif
#if !defined(SIGNALBOX_PLAIN_ADDITIONS) && defined(__x86_64__)
#define SIGNALBOX_PLAIN_ADDITIONS 1
#endif

/// Adds; true if the result has its highest bit set.
inline bool add_alone(Word& word, std::uint64_t amount) noexcept {
#if SIGNALBOX_PLAIN_ADDITIONS
    bool negative;
    asm volatile("addq %2, %1" : "=@ccs"(negative), "+m"(word) : "re"(amount));
    return negative;
#else
    const std::uint64_t sum = word.load(std::memory_order_relaxed) + amount;
    word.store(sum, std::memory_order_relaxed);
    return sum >> 63 != 0;
#endif
}

/// Counts one more in a bucket; false if that was not the whole of it: see DistributionBuckets.
inline bool count_alone(Bucket& bucket) noexcept {
#if SIGNALBOX_PLAIN_ADDITIONS
    bool armed;
    asm volatile("addl $2, %1" : "=@ccs"(armed), "+m"(bucket));
    return armed;
#else
    const std::uint32_t raw = bucket.load(std::memory_order_relaxed) + 2;
    bucket.store(raw, std::memory_order_relaxed);
    return raw >> 31 != 0;
#endif
}

/// The head of a distribution: the line that every record touches, and one that few do. Zeroed memory is a
/// valid empty one. There is no count: it is the sum of the buckets, `zeros`, `underflow` and `overflow`.
///
/// The sum of all records is `running_sum` plus one of the bases. When running_sum reaches 2^63 it is time for
/// a sample: it starts again as far below 2^63 as the next one is away, and the other base makes up for that.
struct alignas(64) DistributionHead {
    Word running_sum;   ///< in ticks
    Bucket turn;        ///< of the bases, and what move is under way: see running_sum.hpp
    Bucket pending;     ///< PendingRecord, of timers
    Word inverted_min;  ///< ~min of the positive values, so that zeroed memory means "none yet"
    Word max;
    Word base_low[2];  ///< of the bases: 96 bits in two's complement
    Bucket base_high[2];
    Bucket sample_pace;  ///< 0: every record is kept
    Bucket
        carrying;  ///< 0: no bucket has a carry; kHasCarried; else (bucket + 1) << 16 | its new carry: being carried

    Word samples_taken;  ///< kept so far; the ring's next place is this modulo kSampleRing
    Word zeros;
    Word min_monotonic_ns;  ///< when
    Word max_monotonic_ns;
    Word underflow;  ///< positive, but below the first bucket
    Word overflow;   ///< above the last bucket
    Word nans;       ///< not numbers: counted, and nowhere else
    Word infinities;
};
inline constexpr std::uint32_t kHasCarried = 1;
static_assert(sizeof(DistributionHead) == 128);

/// The buckets, and what is carried out of them: a busy one passes any 32 bits within a day.
///
/// A record adds 2 and looks at one thing, the highest bit. It is set in the buckets that are armed: they lie
/// between those of the extremes, so that nothing in them can be a new one. Others need a second look:
///
///     counts n < 2^30        n << 1                       not armed yet, as zeroed memory is
///                            n << 1 | kArmed              armed
///     2^30, from armed       1                            to be carried now
///
/// In the lane that threads share nothing is ever armed and n may be a little more than 2^30.
struct DistributionBuckets {
    Bucket counts[sketch::kBucketCount];
    std::atomic<std::uint16_t> carries[sketch::kBucketCount];  ///< of 2^30 each
    std::byte
        spare[4096];  ///< an odd number of pages, so that alike instruments do not compete for cache sets
};
static_assert(sizeof(DistributionBuckets) == 13 * 4096);
inline constexpr std::uint32_t kArmed = 0x8000'0001;
inline constexpr std::uint32_t kCarryUnit = 1u << 30;
/// n of a bucket: bit 30 is set in none that is armed, and set in effect in the one that has wrapped.
inline constexpr std::uint32_t counted(std::uint32_t raw) noexcept {
    return raw >> 1 ^ (raw & 1) << 30;
}

/// The last samples, one word each: see samples.hpp.
inline constexpr std::uint32_t kSampleRing = 64;
struct SampleRing {
    Word samples[kSampleRing];
};
static_assert(sizeof(SampleRing) == 512);

/// Where a distribution's parts lie in every lane. That of a signed one has a second head behind its head and
/// second buckets behind its buckets, for what is below zero.
struct DistributionCell {
    std::uint32_t head_offset = 0;
    std::uint32_t buckets_offset = 0;
    double units_per_tick = 1;
    std::uint32_t samples_offset = 0;
    bool is_signed = false;

    DistributionHead& head(std::byte* base) const {
        return *reinterpret_cast<DistributionHead*>(base + head_offset);
    }
    DistributionBuckets& buckets(std::byte* base) const {
        return *reinterpret_cast<DistributionBuckets*>(base + buckets_offset);
    }
    SampleRing& samples(std::byte* base) const {
        return *reinterpret_cast<SampleRing*>(base + samples_offset);
    }
    /// The cell of the absolute values below zero; only of a signed one.
    DistributionCell below_zero() const {
        return {head_offset + static_cast<std::uint32_t>(sizeof(DistributionHead)),
                buckets_offset + static_cast<std::uint32_t>(sizeof(DistributionBuckets)), units_per_tick,
                samples_offset, true};
    }
};

/// Everything that a record may meet: zero, out of range, a thread without a lane, a process that has not
/// attached. Any thread.
void record_elsewhere(const DistributionCell& cell, std::uint64_t ticks) noexcept;
/// -ticks into a signed distribution.
void record_below_zero(const DistributionCell& cell, std::uint64_t ticks) noexcept;
/// A number in units; anything that a double can be.
void record_value(const DistributionCell& cell, double value) noexcept;
/// The rest of a record of the own lane: it is in the sum, which has reached 2^63 …
void record_sampled(const DistributionCell& cell, std::uint64_t ticks, std::uint64_t bucket) noexcept;
/// … or it is counted too, but its bucket was not armed.
void record_unarmed(const DistributionCell& cell, std::uint64_t ticks, std::uint64_t bucket) noexcept;
/// The same for a value that is no new extreme.
void count_unarmed(const DistributionCell& cell, std::uint32_t bucket) noexcept;

/// The bucket (0 … kBucketCount - 1) of a positive number of ticks below 2^63, or a larger number if there is
/// none for it.
inline std::uint64_t bucket_of(const DistributionCell& cell, std::uint64_t ticks) noexcept {
    return sketch::bucket_position(static_cast<double>(static_cast<std::int64_t>(ticks)) *
                                   cell.units_per_tick);
}

inline void record(const DistributionCell& cell, std::uint64_t ticks) noexcept {
    std::byte* const base = own_lane;
    if (!base) [[unlikely]]
        return record_elsewhere(cell, ticks);
    const std::uint64_t bucket = bucket_of(cell, ticks);
    if (bucket >= sketch::kBucketCount) [[unlikely]]
        return record_elsewhere(cell, ticks);
    if (add_alone(cell.head(base).running_sum, ticks)) [[unlikely]]
        return record_sampled(cell, ticks, bucket);
    if (!count_alone(cell.buckets(base).counts[bucket])) [[unlikely]]
        return record_unarmed(cell, ticks, bucket);
}

/// A record that waits to be counted: its bucket + 1. While that is done, since a next one waits, both are there,
/// and the lowest bit of the first one's count as it was: so one can tell whether it has been counted.
struct PendingRecord {
    static constexpr std::uint32_t kBits = 14;
    static constexpr std::uint32_t kMask = (1u << kBits) - 1;
    static constexpr std::uint32_t kSettling = 1u << 31;
    static_assert(sketch::kBucketCount < kMask);

    static std::uint32_t settling(std::uint32_t waiting, std::uint32_t first, std::uint32_t raw) noexcept {
        return waiting | first << kBits | (raw >> 1 & 1) << 2 * kBits | kSettling;
    }
    std::uint32_t waiting() const { return word & kMask; }  ///< 0: none
    bool is_settling() const { return (word & kSettling) != 0; }
    std::uint32_t first() const { return word >> kBits & kMask; }
    bool first_has_been_counted(std::uint32_t raw) const { return ((word >> 2 * kBits ^ raw >> 1) & 1) != 0; }

    std::uint32_t word;
};

/// A record for timers. A store whose address hangs on a clock reading holds up the next clock reading until
/// it is known (on Zen 4 by some 11 ns). So the record is in the sum at once, but its bucket waits in
/// `pending`, where readers find it, for the next such record: whose bucket is that is known by then.
inline void record_later(const DistributionCell& cell, std::uint64_t ticks) noexcept {
    std::byte* const base = own_lane;
    if (!base) [[unlikely]]
        return record_elsewhere(cell, ticks);
    DistributionHead& head = cell.head(base);
    const std::uint64_t bucket = bucket_of(cell, ticks);
    if (~ticks > head.inverted_min.load(std::memory_order_relaxed) ||
        ticks > head.max.load(std::memory_order_relaxed) || bucket >= sketch::kBucketCount) [[unlikely]]
        return record(cell, ticks);
    if (add_alone(head.running_sum, ticks)) [[unlikely]]
        return record_sampled(cell, ticks, bucket);
    const std::uint32_t before = head.pending.load(std::memory_order_relaxed);
    const auto now = static_cast<std::uint32_t>(bucket + 1);
    if (before == 0) [[unlikely]]
        return head.pending.store(now, std::memory_order_release);
    Bucket& first = cell.buckets(base).counts[before - 1];
    head.pending.store(PendingRecord::settling(now, before, first.load(std::memory_order_relaxed)),
                       std::memory_order_release);
    if (!count_alone(first)) [[unlikely]]
        count_unarmed(cell, before - 1);
    head.pending.store(now, std::memory_order_release);
}

}  // namespace signalbox::detail
