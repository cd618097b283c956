// The hot path: how a thread reaches its cells and updates them. Not for direct use.
//
// A lane is a copy of all cells. Every seat has two: the owner's, which one thread updates with plain relaxed
// loads and stores, and the shared one, which all other threads of that process update with atomic additions.
// Two relaxed writers on one cell would lose updates, so the rule is one writer per lane or atomics.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "common/sketch/exponential_buckets.hpp"

namespace signalbox::detail {

using Word = std::atomic<std::uint64_t>;
using Bucket = std::atomic<std::uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8 && sizeof(Bucket) == 4);

struct Lane {
    std::byte* base = nullptr;  ///< null: not attached, or a thread that has not recorded yet
    bool exclusive = false;     ///< the owner's lane: plain stores suffice

    Word& word(std::uint32_t offset) const { return *reinterpret_cast<Word*>(base + offset); }
};

/// Constant-initialized, so reading it is one load off the thread pointer.
inline thread_local constinit Lane current_lane;
inline Lane lane() noexcept {
    return current_lane;
}

/// A thread's first record: takes the process' shared lane. False if the process has not attached.
bool adopt_shared_lane() noexcept;
/// The cell of a gauge, one per process; null if the process has not attached.
Word* process_word(std::uint32_t offset) noexcept;

inline void add_exclusively(Word& word, std::uint64_t amount) noexcept {
    word.store(word.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}
inline void add_atomically(Word& word, std::uint64_t amount) noexcept {
    word.fetch_add(amount, std::memory_order_relaxed);
}

/// The head of a distribution: one cache line. Zeroed memory is a valid empty one. There is no count: it is
/// the sum of the buckets and `zeros`.
struct alignas(64) DistributionHead {
    Word sum_low;  ///< of the recorded ticks, 128 bits in two words
    Word sum_high;
    Word inverted_min;  ///< ~min of the positive values, so that zeroed memory means "none yet"
    Word max;
    Word zeros;
    Word underflow;  ///< positive, but below the first bucket
    Word overflow;   ///< above the last bucket
    Word carrying;  ///< 0: no bucket has a carry; kHasCarried; else (bucket + 1) << 16 | its new carry: being
                    ///< carried
};
inline constexpr std::uint64_t kHasCarried = 1;
static_assert(sizeof(DistributionHead) == 64);

/// The buckets, 32 bits each, and what is carried out of them: a busy bucket passes 2^32 within a day.
struct DistributionBuckets {
    Bucket counts[sketch::kBucketCount];
    std::atomic<std::uint16_t> carries[sketch::kBucketCount];
};
static_assert(sizeof(DistributionBuckets) % 4096 == 0);

/// Where a distribution's parts lie in every lane.
struct DistributionCell {
    std::uint32_t head_offset = 0;
    std::uint32_t buckets_offset = 0;
    double units_per_tick = 1;

    DistributionHead& head(std::byte* base) const {
        return *reinterpret_cast<DistributionHead*>(base + head_offset);
    }
    DistributionBuckets& buckets(std::byte* base) const {
        return *reinterpret_cast<DistributionBuckets*>(base + buckets_offset);
    }
};

/// The slow path once in 2^32 records of one bucket: the bucket becomes 0 and its carry grows by one.
/// `carrying` lets the reader of a process that died in between tell which of the two stores were made.
void carry_exclusively(DistributionHead& head, DistributionBuckets& buckets, std::uint32_t bucket) noexcept;
void record_maximum(Word& word, std::uint64_t value) noexcept;

/// The bucket (0 … kBucketCount - 1) of a positive number of ticks, or a larger number if there is none for
/// it.
inline std::uint32_t bucket_of(const DistributionCell& cell, std::uint64_t ticks) noexcept {
    const double value = static_cast<double>(static_cast<std::int64_t>(ticks)) * cell.units_per_tick;
    return static_cast<std::uint32_t>(sketch::bucket_index(value) - sketch::kFirstBucket);
}

/// Ticks beyond 2^63 - 1 count as that many.
inline std::uint64_t clamp_ticks(std::uint64_t ticks) noexcept {
    return ticks <= INT64_MAX ? ticks : static_cast<std::uint64_t>(INT64_MAX);
}

inline void record_exclusively(Lane lane, const DistributionCell& cell, std::uint64_t ticks) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    DistributionHead& head = cell.head(lane.base);
    if (ticks == 0) [[unlikely]] {
        add_exclusively(head.zeros, 1);
        return;
    }
    ticks = clamp_ticks(ticks);
    const std::uint64_t sum = head.sum_low.load(relaxed) + ticks;
    head.sum_low.store(sum, relaxed);
    if (sum < ticks) [[unlikely]]
        add_exclusively(head.sum_high, 1);
    if (~ticks > head.inverted_min.load(relaxed)) [[unlikely]]
        head.inverted_min.store(~ticks, relaxed);
    if (ticks > head.max.load(relaxed)) [[unlikely]]
        head.max.store(ticks, relaxed);
    const std::uint32_t bucket = bucket_of(cell, ticks);
    if (bucket >= sketch::kBucketCount) [[unlikely]] {
        add_exclusively(static_cast<std::int32_t>(bucket) < 0 ? head.underflow : head.overflow, 1);
        return;
    }
    DistributionBuckets& buckets = cell.buckets(lane.base);
    const std::uint32_t count = buckets.counts[bucket].load(relaxed);
    if (count == UINT32_MAX) [[unlikely]]
        carry_exclusively(head, buckets, bucket);
    else
        buckets.counts[bucket].store(count + 1, relaxed);
}

inline void record_atomically(Lane lane, const DistributionCell& cell, std::uint64_t ticks) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    DistributionHead& head = cell.head(lane.base);
    if (ticks == 0) [[unlikely]] {
        add_atomically(head.zeros, 1);
        return;
    }
    ticks = clamp_ticks(ticks);
    if (head.sum_low.fetch_add(ticks, relaxed) + ticks < ticks) [[unlikely]]
        add_atomically(head.sum_high, 1);
    if (~ticks > head.inverted_min.load(relaxed)) [[unlikely]]
        record_maximum(head.inverted_min, ~ticks);
    if (ticks > head.max.load(relaxed)) [[unlikely]]
        record_maximum(head.max, ticks);
    const std::uint32_t bucket = bucket_of(cell, ticks);
    if (bucket >= sketch::kBucketCount) [[unlikely]] {
        add_atomically(static_cast<std::int32_t>(bucket) < 0 ? head.underflow : head.overflow, 1);
        return;
    }
    DistributionBuckets& buckets = cell.buckets(lane.base);
    if (buckets.counts[bucket].fetch_add(1, relaxed) == UINT32_MAX) [[unlikely]] {
        buckets.carries[bucket].fetch_add(1, relaxed);
        head.carrying.store(kHasCarried, relaxed);
    }
}

}  // namespace signalbox::detail
