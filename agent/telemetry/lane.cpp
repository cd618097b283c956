#include "signalbox/detail/lane.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "agent/telemetry/attachment.hpp"
#include "agent/telemetry/samples.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::detail {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

/// Where this process records; set before any other thread exists.
constinit LaneSet process_lanes;
/// Which attachment the lanes of threads belong to.
constinit std::atomic<std::uint32_t> attachment{0};

/// A thread's lane, given back at its end: what it recorded stays, and the next thread goes on from there.
struct Claim {
    std::uint32_t bit = 0;
    std::uint32_t of_attachment = 0;
    bool asked = false;

    ~Claim() {
        own_lane = nullptr;
        asked = true;  // whatever is recorded while the thread ends goes to the shared lane
        if (bit != 0 && of_attachment == attachment.load(relaxed))
            process_lanes.claimed->fetch_and(~bit, std::memory_order_release);
    }
};
thread_local Claim claim;

/// Tries once per thread and attachment.
bool claim_lane() noexcept {
    const std::uint32_t now = attachment.load(std::memory_order_acquire);
    if (claim.asked && claim.of_attachment == now) return false;
    claim.asked = true;
    claim.of_attachment = now;
    std::uint32_t claimed = process_lanes.claimed->load(relaxed);
    for (;;) {
        const auto lane = static_cast<unsigned>(std::countr_one(claimed));
        if (lane + 1 >= process_lanes.count) return false;
        const std::uint32_t bit = 1u << lane;
        if (!process_lanes.claimed->compare_exchange_weak(claimed, claimed | bit, std::memory_order_acquire))
            continue;
        claim.bit = bit;
        process_lanes.touched->fetch_or(bit, std::memory_order_release);
        own_lane = process_lanes.first + lane * process_lanes.stride;
        return true;
    }
}

std::byte* shared_lane() noexcept {
    const std::uint32_t bit = 1u << (process_lanes.count - 1);
    if ((process_lanes.touched->load(relaxed) & bit) == 0)
        process_lanes.touched->fetch_or(bit, std::memory_order_release);
    return process_lanes.first + (process_lanes.count - 1) * process_lanes.stride;
}

void raise_to(Word& word, std::uint64_t value, std::memory_order order = relaxed) noexcept {
    std::uint64_t seen = word.load(relaxed);
    while (value > seen && !word.compare_exchange_weak(seen, value, order)) {
    }
}

/// Keeps a sample; in about every sixteenth looks how long the ring lasted and adapts the spacing, so that an
/// instrument that is recorded a thousand times a second or less keeps every sample and a busier one a few
/// thousand a second: 64 samples then tell of the last tenth of a second rather than of the last microsecond.
void keep_sample(DistributionHead& head, SampleRing& ring, double value, std::uint64_t now) noexcept {
    constexpr std::uint64_t kTooShort = 64'000'000;
    constexpr std::uint64_t kLongEnough = 256'000'000;
    constexpr std::uint32_t kWidestSpacing = 65535;
    const std::uint64_t taken = head.samples_taken.load(relaxed);
    Word& place = ring.samples[taken % kSampleRing];
    if (taken >= kSampleRing && taken % 16 == 0) {
        const std::uint64_t lasted =
            now - std::min(now, telemetry::unpack_sample(place.load(relaxed), now).monotonic_ns);
        const std::uint32_t spacing = head.sample_spacing.load(relaxed);
        if (lasted < kTooShort)
            head.sample_spacing.store(std::min(spacing * 2 + 1, kWidestSpacing), relaxed);
        else if (lasted > kLongEnough)
            head.sample_spacing.store(spacing / 2, relaxed);
    }
    place.store(telemetry::pack_sample(value, now), relaxed);
    head.samples_taken.store(taken + 1, std::memory_order_release);
}

/// How the only writer of a lane changes its cells, and how one of several does.
struct Alone {
    static void add(Word& word, std::uint64_t amount) noexcept { add_alone(word, amount); }
    static void raise(Word& word, std::uint64_t value) noexcept { word.store(value, relaxed); }
    static void add_sum(DistributionHead& head, std::uint64_t ticks) noexcept {
        if (add_alone(head.sum_low, ticks)) carry_sum(head);
    }
    static void count(DistributionHead& head, DistributionBuckets& buckets, std::uint32_t bucket) noexcept {
        if (increment_alone(buckets.counts[bucket])) carry_bucket(head, buckets, bucket);
    }
};
struct Together {
    static void add(Word& word, std::uint64_t amount) noexcept { word.fetch_add(amount, relaxed); }
    static void raise(Word& word, std::uint64_t value) noexcept { raise_to(word, value); }
    static void add_sum(DistributionHead& head, std::uint64_t ticks) noexcept {
        constexpr std::uint64_t half = std::uint64_t{1} << 63;
        const std::uint64_t before = head.sum_low.fetch_add(ticks, relaxed);
        if (before >= half || before + ticks < half) return;
        head.sum_high.fetch_add(2, relaxed);
        head.sum_low.fetch_sub(half, relaxed);
    }
    static void count(DistributionHead& head, DistributionBuckets& buckets, std::uint32_t bucket) noexcept {
        constexpr std::uint32_t half = std::uint32_t{1} << 31;
        if (buckets.counts[bucket].fetch_add(1, relaxed) + 1 != half) return;
        buckets.carries[bucket].fetch_add(1, relaxed);
        head.carrying.store(kHasCarried, relaxed);
        buckets.counts[bucket].fetch_sub(half, relaxed);
    }
};

/// Lets the fast path take `ticks` and everything between it and what it takes already.
void widen_filter(DistributionHead& head, std::uint64_t ticks) noexcept {
    if (head.width == 0) {
        head.lowest = ticks;
        head.width = 1;
    } else if (ticks < head.lowest) {
        head.width += head.lowest - ticks;
        head.lowest = ticks;
    } else if (ticks - head.lowest >= head.width) {
        head.width = ticks - head.lowest + 1;
    }
}

/// Both sides of a signed distribution share one ring of samples, which the head above zero counts.
template <class Writing>
void record_in(std::byte* base, const DistributionCell& whole, std::uint64_t ticks, bool negative) noexcept {
    constexpr bool alone = std::is_same_v<Writing, Alone>;
    const DistributionCell cell = negative ? whole.below_zero() : whole;
    DistributionHead& head = cell.head(base);
    DistributionHead& sampler = whole.head(base);
    // The fast path has counted down if it stopped at zero, and not if the value was outside.
    const std::uint32_t countdown = sampler.countdown.load(relaxed);
    const bool sample_is_due = countdown == 0 || countdown == UINT32_MAX;
    sampler.countdown.store(sample_is_due ? sampler.sample_spacing.load(relaxed) : countdown - 1, relaxed);
    std::uint64_t now = 0;
    if (sample_is_due) {
        now = telemetry::monotonic_ns();
        const double value = static_cast<double>(ticks) * cell.units_per_tick;
        keep_sample(sampler, cell.samples(base), negative ? -value : value, now);
    }
    if (ticks == 0) {
        Writing::add(head.zeros, 1);
        return;
    }
    ticks = std::min<std::uint64_t>(ticks, INT64_MAX);
    const std::uint64_t bucket = bucket_of(cell, ticks);
    // Extremes come before counts, and counts last: a reader looks for counts between the extremes.
    const bool lower = ~ticks > head.inverted_min.load(relaxed);
    const bool higher = ticks > head.max.load(relaxed);
    if (lower || higher) {
        if (now == 0) now = telemetry::monotonic_ns();
        if (lower) {
            Writing::raise(head.inverted_min, ~ticks);
            head.min_monotonic_ns.store(now, relaxed);
        }
        if (higher) {
            Writing::raise(head.max, ticks);
            head.max_monotonic_ns.store(now, relaxed);
        }
    }
    Writing::add_sum(head, ticks);
    if (bucket >= sketch::kBucketCount) {
        const bool small = static_cast<double>(ticks) * cell.units_per_tick < 1;
        Writing::add(small ? head.underflow : head.overflow, 1);
        return;
    }
    if constexpr (alone) widen_filter(head, ticks);
    Writing::count(head, cell.buckets(base), static_cast<std::uint32_t>(bucket));
}

void record_somewhere(const DistributionCell& cell, std::uint64_t ticks, bool negative) noexcept {
    const LanePlace place = lane_place();
    if (place.alone)
        record_in<Alone>(place.base, cell, ticks, negative);
    else if (place.base)
        record_in<Together>(place.base, cell, ticks, negative);
}

}  // namespace

void attach_process(const LaneSet& lanes) noexcept {
    process_lanes = lanes;
    own_lane = nullptr;
    attachment.fetch_add(1, std::memory_order_release);
    claim = {};
    if (lanes.count == 0) return;
    // The seat is fresh, or this process had it before: the first lane is the owner's in either case.
    lanes.claimed->store(1, relaxed);
    lanes.touched->fetch_or(1, relaxed);
    claim.asked = true;
    claim.of_attachment = attachment.load(relaxed);
    claim.bit = 1;
    own_lane = lanes.first;
}

std::uint32_t current_attachment() noexcept {
    return attachment.load(relaxed);
}

void add_elsewhere(std::uint32_t offset, std::uint64_t amount) noexcept {
    const LanePlace place = lane_place();
    if (!place.base) return;
    Word& word = *reinterpret_cast<Word*>(place.base + offset);
    if (place.alone)
        add_alone(word, amount);
    else
        word.fetch_add(amount, relaxed);
}

LanePlace lane_place() noexcept {
    if (own_lane || (process_lanes.count != 0 && claim_lane())) return {own_lane, true};
    if (process_lanes.count != 0) return {shared_lane(), false};
    return {};
}

std::byte* process_registers() noexcept {
    return process_lanes.registers;
}

std::byte* touched_registers() noexcept {
    if (!process_lanes.registers || process_lanes.registers_touched->load(relaxed) == 0) return nullptr;
    return process_lanes.registers;
}

void touch_registers() noexcept {
    process_lanes.registers_touched->store(1, std::memory_order_release);
}

Word* process_word(std::uint32_t offset) noexcept {
    return process_lanes.count != 0 ? reinterpret_cast<Word*>(process_lanes.first + offset) : nullptr;
}

void record_elsewhere(const DistributionCell& cell, std::uint64_t ticks) noexcept {
    record_somewhere(cell, ticks, false);
}

void record_below_zero(const DistributionCell& cell, std::uint64_t ticks) noexcept {
    record_somewhere(cell, ticks, true);
}

void record_value(const DistributionCell& cell, double value) noexcept {
    if (std::isnan(value)) return add_elsewhere(cell.head_offset + offsetof(DistributionHead, nans), 1);
    if (value < 0 && !cell.is_signed) value = 0;
    const DistributionCell side = value < 0 ? cell.below_zero() : cell;
    if (std::isinf(value)) return add_elsewhere(side.head_offset + offsetof(DistributionHead, infinities), 1);
    if (value == 0) return record(cell, 0);
    // What is not zero does not become it by rounding, and stays below 2^63.
    const double ticks = std::clamp(std::nearbyint(std::abs(value) / cell.units_per_tick), 1.0, 0x1p62);
    record_somewhere(cell, static_cast<std::uint64_t>(ticks), value < 0);
}

void keep_more_samples(std::uint32_t head_offset) noexcept {
    if (process_lanes.count == 0) return;
    const std::uint32_t touched = process_lanes.touched->load(relaxed);
    for (unsigned lane = 0; lane < process_lanes.count; ++lane) {
        if ((touched >> lane & 1) == 0) continue;
        auto& head = *reinterpret_cast<DistributionHead*>(process_lanes.first + lane * process_lanes.stride +
                                                          head_offset);
        const std::uint32_t spacing = head.sample_spacing.load(relaxed) / 2;
        if (head.sample_spacing.load(relaxed) == 0) continue;
        // Another thread may be counting down; that one record more or less is kept does no harm.
        head.sample_spacing.store(spacing, relaxed);
        if (head.countdown.load(relaxed) > spacing) head.countdown.store(spacing, relaxed);
    }
}

// 2^63 ticks move from sum_low to sum_high, whose lowest bit says that this is going on. Its reader, or the
// one of a process that died here, knows from the highest bit of sum_low whether they are still there.
void carry_sum(DistributionHead& head) noexcept {
    const std::uint64_t high = head.sum_high.load(relaxed);
    head.sum_high.store(high + 1, std::memory_order_release);
    head.sum_low.store(head.sum_low.load(relaxed) & ~(std::uint64_t{1} << 63), std::memory_order_release);
    head.sum_high.store(high + 2, std::memory_order_release);
}

// The bucket becomes 0 and its carry grows by one. `carrying` lets the reader of a process that died in
// between tell which of the two stores were made.
void carry_bucket(DistributionHead& head, DistributionBuckets& buckets, std::uint32_t bucket) noexcept {
    const auto carry = static_cast<std::uint16_t>(buckets.carries[bucket].load(relaxed) + 1);
    head.carrying.store((std::uint64_t{bucket} + 1) << 16 | carry, std::memory_order_release);
    buckets.carries[bucket].store(carry, std::memory_order_release);
    buckets.counts[bucket].store(0, std::memory_order_release);
    head.carrying.store(kHasCarried, std::memory_order_release);
}

}  // namespace signalbox::detail
