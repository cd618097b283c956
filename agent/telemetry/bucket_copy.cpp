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

/// Copies [first, end), both even, and returns all bits of all counts. Half as many loads as buckets; each is
/// atomic, so no count is torn.
std::uint32_t copy_counts(const DistributionBuckets& buckets, std::uint32_t first, std::uint32_t end,
                          std::uint32_t* into) {
    const auto* words = reinterpret_cast<const SharedWord*>(&buckets.counts[first]);
    auto* copies = reinterpret_cast<SharedWord*>(into + first);
    std::uint64_t bits = 0;
    for (std::uint32_t i = 0; i < (end - first) / 2; ++i) {
        const std::uint64_t word = __atomic_load_n(words + i, __ATOMIC_RELAXED);
        copies[i] = word;
        bits |= word;
    }
    return static_cast<std::uint32_t>(bits | bits >> 32);
}

std::uint32_t clamped_bucket(const DistributionCell& cell, std::uint64_t ticks) {
    const double value = static_cast<double>(std::min<std::uint64_t>(ticks, INT64_MAX)) * cell.units_per_tick;
    const std::uint64_t bucket = sketch::bucket_position(value);
    if (bucket < kBuckets) return static_cast<std::uint32_t>(bucket);
    return value < 1 ? 0 : kBuckets - 1;
}

}  // namespace

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
    const std::uint32_t first = clamped_bucket(cell, ~inverted_min) & ~1u;
    const std::uint32_t end = (clamped_bucket(cell, max) | 1u) + 1;
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
        sums_[i] += std::uint64_t{carries_[i]} << 31;
}

/// Reads counts and, if there are any or 32 bits might not do, carries; true if it read those.
///
/// A count goes back to 0 when its carry grows, and the two must fit: it is all read again if a carry was under
/// way. A writer that died in the middle of one, or is broken, must not keep a reader here.
bool BucketCopy::read(const DistributionHead& head, const DistributionBuckets& buckets, std::uint32_t first,
                      std::uint32_t end, std::uint32_t* into) {
    constexpr int kAttempts = 8;
    const auto carry_of = [&](std::uint32_t i) { return buckets.carries[i].load(relaxed); };
    for (int attempt = 1;; ++attempt) {
        const std::uint64_t carrying = head.carrying.load(std::memory_order_acquire);
        for (std::uint32_t i = first; carrying != 0 && i < end; ++i)
            carries_[i] = carry_of(i);
        std::atomic_thread_fence(std::memory_order_acquire);
        const std::uint32_t bits = copy_counts(buckets, first, end, into);
        std::atomic_thread_fence(std::memory_order_acquire);
        const bool names_one = carrying >> 16 != 0;
        bool fits = head.carrying.load(relaxed) == carrying && (bits >> 31 == 0 || names_one);
        for (std::uint32_t i = first; carrying != 0 && fits && i < end; ++i)
            fits = carries_[i] == carry_of(i);
        if (!fits && attempt < kAttempts) continue;

        if (carrying == 0 && bits < kMany) return false;
        if (carrying == 0) std::fill(carries_.begin() + first, carries_.begin() + end, std::uint16_t{0});
        if (const std::uint64_t named = (carrying >> 16) - 1; names_one && named >= first && named < end) {
            // Its carry is stored, but perhaps not yet the zero that goes with it: the bucket itself tells.
            const auto fresh = static_cast<std::uint16_t>(carrying);
            carries_[named] = into[named] < (UINT32_MAX >> 2) ? fresh : static_cast<std::uint16_t>(fresh - 1);
        }
        return true;
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
