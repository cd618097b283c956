#include "agent/telemetry/bucket_copy.hpp"

#include <algorithm>

#include "agent/telemetry/layout.hpp"

namespace signalbox::telemetry {
namespace {

using detail::DistributionBuckets;
using detail::DistributionCell;
using detail::DistributionHead;
constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto kBuckets = static_cast<std::uint32_t>(sketch::kBucketCount);

/// As many lanes as there may be add up to less than 2^32 if no bucket of any has so many.
constexpr std::uint32_t kMany = (std::uint32_t{1} << 31) / kMaxLanes;

/// Two buckets. On a shared mapping that is otherwise accessed by halves.
using SharedWord = std::uint64_t __attribute__((may_alias));
static_assert(offsetof(DistributionBuckets, counts) % sizeof(SharedWord) == 0);

/// Copies the counts of [first, end), both even, and returns all their bits. Half as many loads as buckets; each
/// is atomic, so no count is torn.
std::uint32_t copy_counts(const DistributionBuckets& buckets, std::uint32_t first, std::uint32_t end,
                          std::uint32_t* into) {
    const auto* words = reinterpret_cast<const SharedWord*>(&buckets.counts[first]);
    auto* copies = reinterpret_cast<SharedWord*>(into + first);
    for (std::uint32_t i = 0; i < (end - first) / 2; ++i)
        copies[i] = __atomic_load_n(words + i, __ATOMIC_RELAXED);
    std::uint32_t bits = 0;  // a loop of its own, in vector instructions
    for (std::uint32_t i = first; i < end; ++i)
        bits |= into[i] = detail::counted(into[i]);
    return bits;
}

/// The carry that goes with a bucket that counts `low`.
std::uint16_t carry_with(const DistributionBuckets& buckets, std::uint32_t bucket, std::uint64_t carrying,
                         std::uint32_t low) {
    if (carrying >> 16 != bucket + 1) return buckets.carries[bucket].load(relaxed);
    // It is being carried. The carry is stored or not, and so is the new count: the bucket itself tells.
    return static_cast<std::uint16_t>(low < detail::kCarryUnit ? carrying : carrying - 1);
}

/// Records of timers that wait to be counted: none, one or, if its writer is just at it, two. They are known
/// together with what their buckets counted at that moment, so that they count once whenever they come there.
class Pending {
public:
    Pending(const DistributionHead& head, const DistributionBuckets& buckets) {
        constexpr int kAttempts = 8;  // a broken writer must not keep a reader here
        for (int attempt = 0; attempt < kAttempts; ++attempt) {
            const detail::PendingRecord record{head.pending.load(std::memory_order_acquire)};
            if (record.waiting() == 0) return;
            read(record, head, buckets);
            std::atomic_thread_fence(std::memory_order_acquire);
            if (head.pending.load(relaxed) == record.word) return;
        }
    }

    struct Waiting {
        std::uint32_t bucket = kBuckets;
        std::uint64_t count = 0;  ///< of the bucket, with all that wait for it
    };
    const std::array<Waiting, 2>& waiting() const { return waiting_; }

private:
    void read(detail::PendingRecord record, const DistributionHead& head,
              const DistributionBuckets& buckets) {
        waiting_ = {};
        add(0, record.waiting() - 1, head, buckets);
        if (!record.is_settling()) return;
        const std::uint32_t first = record.first() - 1;
        if (first >= kBuckets ||
            record.first_has_been_counted(buckets.counts[first].load(std::memory_order_relaxed)))
            return;
        if (first == waiting_[0].bucket)
            ++waiting_[0].count;
        else
            add(1, first, head, buckets);
    }
    void add(std::size_t place, std::uint32_t bucket, const DistributionHead& head,
             const DistributionBuckets& buckets) {
        if (bucket < kBuckets) waiting_[place] = {bucket, count_of(head, buckets, bucket) + 1};
    }

    std::array<Waiting, 2> waiting_;
};

}  // namespace

std::uint32_t bucket_of_extreme(const DistributionCell& cell, std::uint64_t ticks) {
    ticks = std::min<std::uint64_t>(ticks, INT64_MAX);
    const std::uint64_t bucket = detail::bucket_of(cell, ticks);
    if (bucket < kBuckets) return static_cast<std::uint32_t>(bucket);
    return static_cast<double>(ticks) * cell.units_per_tick < 1 ? 0 : kBuckets - 1;
}

std::uint64_t count_of(const DistributionHead& head, const DistributionBuckets& buckets,
                       std::uint32_t bucket) {
    const std::uint32_t low = detail::counted(buckets.counts[bucket].load(std::memory_order_acquire));
    const std::uint32_t carrying = head.carrying.load(std::memory_order_acquire);
    if (carrying == 0) return low;  // the carries' pages stay untouched
    return std::uint64_t{carry_with(buckets, bucket, carrying, low)} * detail::kCarryUnit + low;
}

void BucketCopy::clear() {
    first_ = end_ = 0;
    wide_ = false;
}

void BucketCopy::add(const std::byte* base, const DistributionCell& cell) {
    auto* shared = const_cast<std::byte*>(base);  // the accessors are the writers'; nothing is written here
    const DistributionHead& head = cell.head(shared);
    const std::uint64_t inverted_min = head.inverted_min.load(relaxed);
    const std::uint64_t max = head.max.load(relaxed);
    if (inverted_min == 0 || max == 0 || ~inverted_min == 0) return;
    const std::uint32_t first = bucket_of_extreme(cell, ~inverted_min) & ~1u;
    const std::uint32_t end = (bucket_of_extreme(cell, max) | 1u) + 1;
    if (first >= end) return;

    const bool is_first = size() == 0;
    std::uint32_t* into = is_first ? narrow_sums_.data() : counts_.data();
    const bool needs_carries = read(head, cell.buckets(shared), first, end, into);
    if (is_first && !needs_carries) {
        first_ = first;
        end_ = end;
        return;
    }
    if (is_first) std::copy(into + first, into + end, counts_.begin() + first);
    cover(first, end);
    if (needs_carries) widen();
    if (!wide_) {
        for (std::uint32_t i = first; i < end; ++i)
            narrow_sums_[i] += counts_[i];
        return;
    }
    for (std::uint32_t i = first; i < end; ++i)
        sums_[i] += counts_[i];
    if (!needs_carries) return;
    for (std::uint32_t i = first; i < end; ++i)
        sums_[i] += std::uint64_t{carries_[i]} * detail::kCarryUnit;
}

/// Reads counts and, if there are any or 32 bits might not do, carries; true if it read those.
///
/// A count starts again when its carry grows, and the two must fit: it is all read again if a carry was under
/// way. A writer that died in the middle of one, or is broken, must not keep a reader here.
bool BucketCopy::read(const DistributionHead& head, const DistributionBuckets& buckets, std::uint32_t first,
                      std::uint32_t end, std::uint32_t* into) {
    constexpr int kAttempts = 8;
    const Pending pending(head, buckets);
    for (int attempt = 1;; ++attempt) {
        const std::uint32_t carrying = head.carrying.load(std::memory_order_acquire);
        for (std::uint32_t i = first; carrying != 0 && i < end; ++i)
            carries_[i] = buckets.carries[i].load(relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);
        const std::uint32_t bits = copy_counts(buckets, first, end, into);
        std::atomic_thread_fence(std::memory_order_acquire);
        bool fits = head.carrying.load(relaxed) == carrying;
        for (std::uint32_t i = first; carrying != 0 && fits && i < end; ++i)
            fits = carries_[i] == buckets.carries[i].load(relaxed);
        if (!fits && attempt < kAttempts) continue;

        const bool needs_carries = carrying != 0 || bits >= kMany;
        if (carrying == 0 && needs_carries)
            std::fill(carries_.begin() + first, carries_.begin() + end, std::uint16_t{0});
        if (const std::uint32_t named = (carrying >> 16) - 1; named >= first && named < end)
            carries_[named] = carry_with(buckets, named, carrying, into[named]);
        for (const auto& [bucket, count] : pending.waiting()) {
            if (bucket < first || bucket >= end) continue;
            const std::uint64_t carried = needs_carries ? carries_[bucket] : 0;
            const std::uint64_t read = into[bucket] + carried * detail::kCarryUnit;
            if (read < count)
                into[bucket] += static_cast<std::uint32_t>(std::min<std::uint64_t>(count - read, 2));
        }
        return needs_carries;
    }
}

void BucketCopy::cover(std::uint32_t first, std::uint32_t end) {
    const auto zero = [this](std::uint32_t from, std::uint32_t to) {
        if (from >= to) return;
        if (wide_)
            std::fill(sums_.begin() + from, sums_.begin() + to, 0);
        else
            std::fill(narrow_sums_.begin() + from, narrow_sums_.begin() + to, 0);
    };
    if (size() == 0) first_ = end_ = first;
    zero(first, first_);
    zero(end_, end);
    first_ = std::min(first_, first);
    end_ = std::max(end_, end);
}

void BucketCopy::widen() {
    if (wide_) return;
    std::copy(narrow_sums_.begin() + first_, narrow_sums_.begin() + end_, sums_.begin() + first_);
    wide_ = true;
}

sketch::BucketRun BucketCopy::advance(sketch::BucketRun& seen) const {
    const int first = sketch::kFirstBucket + static_cast<int>(first_);
    if (wide_) return seen.advance_to(first, std::span(sums_).subspan(first_, size()));
    return seen.advance_to(first, std::span(narrow_sums_).subspan(first_, size()));
}

}  // namespace signalbox::telemetry
