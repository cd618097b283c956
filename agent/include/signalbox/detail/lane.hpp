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

/// Counts one more; true if the highest bit is set now.
inline bool increment_alone(Bucket& bucket) noexcept {
#if SIGNALBOX_PLAIN_ADDITIONS
    bool negative;
    asm volatile("addl $1, %1" : "=@ccs"(negative), "+m"(bucket));
    return negative;
#else
    const std::uint32_t count = bucket.load(std::memory_order_relaxed) + 1;
    bucket.store(count, std::memory_order_relaxed);
    return count >> 31 != 0;
#endif
}

/// Counts down; true if it was zero and has become 2^32 - 1.
inline bool decrement_alone(Bucket& countdown) noexcept {
#if SIGNALBOX_PLAIN_ADDITIONS
    bool borrowed;
    asm volatile("subl $1, %1" : "=@ccc"(borrowed), "+m"(countdown));
    return borrowed;
#else
    const std::uint32_t left = countdown.load(std::memory_order_relaxed);
    countdown.store(left - 1, std::memory_order_relaxed);
    return left == 0;
#endif
}

/// The head of a distribution: the line that every record touches, and one that few do. Zeroed memory is a
/// valid empty one. There is no count: it is the sum of the buckets, `zeros`, `underflow` and `overflow`.
struct alignas(64) DistributionHead {
    Word sum_low;   ///< of the recorded ticks, modulo 2^63 …
    Word sum_high;  ///< … and 2 × the multiples of 2^63; odd while one is being moved here. See lane.cpp
    std::uint64_t lowest;   ///< the writer's own filter, of no meaning to readers: values in
    std::uint64_t width;    ///< [lowest, lowest + width) are inside the extremes and the buckets' range
    Bucket countdown;       ///< records until the next one is kept as a sample
    Bucket sample_spacing;  ///< what `countdown` starts from
    Word samples_taken;     ///< kept so far; the ring's next place is this modulo kSampleRing
    Word zeros;
    Word
        carrying;  ///< 0: no bucket has a carry; kHasCarried; else (bucket + 1) << 16 | its new carry: being carried

    Word inverted_min;  ///< ~min of the positive values, so that zeroed memory means "none yet"
    Word max;
    Word min_monotonic_ns;  ///< when
    Word max_monotonic_ns;
    Word underflow;  ///< positive, but below the first bucket
    Word overflow;   ///< above the last bucket
    Word nans;       ///< not numbers: counted, and nowhere else
    Word infinities;
};
inline constexpr std::uint64_t kHasCarried = 1;
static_assert(sizeof(DistributionHead) == 128);

/// The buckets, 31 bits each, and what is carried out of them: a busy bucket passes 2^31 within a day.
struct DistributionBuckets {
    Bucket counts[sketch::kBucketCount];
    std::atomic<std::uint16_t> carries[sketch::kBucketCount];
    std::byte
        spare[4096];  ///< an odd number of pages, so that alike instruments do not compete for cache sets
};
static_assert(sizeof(DistributionBuckets) == 13 * 4096);

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

/// Everything that a record may meet: the first one, extremes, zero, out of range, a sample that is due, a
/// thread without a lane, a process that has not attached. Any thread.
void record_elsewhere(const DistributionCell& cell, std::uint64_t ticks) noexcept;
/// -ticks into a signed distribution.
void record_below_zero(const DistributionCell& cell, std::uint64_t ticks) noexcept;
/// A number in units; anything that a double can be.
void record_value(const DistributionCell& cell, double value) noexcept;
/// The slow path once in 2^31 records of one bucket, or with a sum beyond 2^63.
void carry_sum(DistributionHead& head) noexcept;
void carry_bucket(DistributionHead& head, DistributionBuckets& buckets, std::uint32_t bucket) noexcept;

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
    DistributionHead& head = cell.head(base);
    if (ticks - head.lowest >= head.width || decrement_alone(head.countdown)) [[unlikely]]
        return record_elsewhere(cell, ticks);
    const std::uint64_t bucket = bucket_of(cell, ticks);
    if (add_alone(head.sum_low, ticks)) [[unlikely]]
        carry_sum(head);
    DistributionBuckets& buckets = cell.buckets(base);
    if (increment_alone(buckets.counts[bucket])) [[unlikely]]
        carry_bucket(head, buckets, static_cast<std::uint32_t>(bucket));
}

}  // namespace signalbox::detail
