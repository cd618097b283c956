#include "signalbox/detail/lane.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "agent/telemetry/attachment.hpp"
#include "agent/telemetry/running_sum.hpp"
#include "agent/telemetry/samples.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::detail {
namespace {

using telemetry::Move;
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

void raise_to(Word& word, std::uint64_t value) noexcept {
    std::uint64_t seen = word.load(relaxed);
    while (value > seen && !word.compare_exchange_weak(seen, value, relaxed)) {
    }
}

/// One side of a distribution in a lane. Both sides of a signed one share a ring of samples, which the head
/// above zero counts.
struct Side {
    Side(std::byte* base, const DistributionCell& whole, bool is_negative)
        : cell(is_negative ? whole.below_zero() : whole),
          head(cell.head(base)),
          buckets(cell.buckets(base)),
          sampler(whole.head(base)),
          ring(whole.samples(base)),
          negative(is_negative) {}

    DistributionCell cell;
    DistributionHead& head;
    DistributionBuckets& buckets;
    DistributionHead& sampler;
    SampleRing& ring;
    bool negative;
};

std::uint64_t sample_time(const SampleRing& ring, std::uint64_t number, std::uint64_t now) noexcept {
    const std::uint64_t word = ring.samples[number % kSampleRing].load(relaxed);
    return std::min(now, telemetry::unpack_sample(word, now).monotonic_ns);
}

/// Keeps a sample. Returns by how many powers of two samples should be rarer (or, if negative, more frequent), so
/// that an instrument that is recorded a thousand times a second or less keeps every one and a busier one one or
/// two hundred a second: 64 samples then tell of the last tenth of a second rather than of the last microsecond.
int keep_sample(const Side& side, std::uint64_t ticks) noexcept {
    constexpr std::uint64_t kShortest = kSampleRing * std::uint64_t{1'000'000};
    constexpr std::uint64_t kShortestOfSome = 4 * kShortest;  // if not every record is kept
    constexpr std::uint64_t kLongestGap = 64'000'000;
    const std::uint64_t now = telemetry::monotonic_ns();
    const std::uint64_t taken = side.sampler.samples_taken.load(relaxed);
    int rarer = 0;
    if (taken > 0) rarer = -std::bit_width((now - sample_time(side.ring, taken - 1, now)) / kLongestGap);
    if (taken >= kSampleRing && taken % 16 == 0) {
        const bool every_one = side.head.sample_pace.load(relaxed) == 0;
        if (now - sample_time(side.ring, taken, now) < (every_one ? kShortest : kShortestOfSome)) rarer = 1;
    }
    const double value = static_cast<double>(ticks) * side.cell.units_per_tick;
    side.ring.samples[taken % kSampleRing].store(telemetry::pack_sample(side.negative ? -value : value, now),
                                                 relaxed);
    side.sampler.samples_taken.store(taken + 1, std::memory_order_release);
    return rarer;
}

/// Extremes come before counts: a reader looks for counts between them.
template <class Writing>
void note_extremes(DistributionHead& head, std::uint64_t ticks) noexcept {
    const bool lower = ~ticks > head.inverted_min.load(relaxed);
    const bool higher = ticks > head.max.load(relaxed);
    if (!lower && !higher) return;
    const std::uint64_t now = telemetry::monotonic_ns();
    if (lower) {
        Writing::raise(head.inverted_min, ~ticks);
        head.min_monotonic_ns.store(now, relaxed);
    }
    if (higher) {
        Writing::raise(head.max, ticks);
        head.max_monotonic_ns.store(now, relaxed);
    }
}

/// How the only writer of a lane changes its cells. A sample is every record (pace 0) or one in each 2^pace
/// ticks or so.
struct Alone {
    static void add(Word& word, std::uint64_t amount) noexcept { add_alone(word, amount); }
    static void raise(Word& word, std::uint64_t value) noexcept { word.store(value, relaxed); }

    static void add_zero(const Side& side) noexcept {
        const bool due = never_sampled(side) || side.head.running_sum.load(relaxed) == telemetry::kSampleDue;
        if (due || side.head.zeros.load(relaxed) % 1024 == 0) sample(side, 0);
        if (due) wait_for_next(side.head);
        add_alone(side.head.zeros, 1);
    }
    static void add_sum(const Side& side, std::uint64_t ticks) noexcept {
        if (add_alone(side.head.running_sum, ticks))
            sum_is_full(side, ticks);
        else
            sample_first(side, ticks);
    }
    /// The record that fills the sum is likelier a large one than a small one. So the one after it is kept.
    static void sum_is_full(const Side& side, std::uint64_t ticks) noexcept {
        if (side.head.running_sum.load(relaxed) - ticks != telemetry::kSampleDue)
            return telemetry::move_sum(side.head, Move::to_due);
        sample(side, ticks);
        wait_for_next(side.head);
    }
    static void count(const Side& side, std::uint64_t ticks, std::uint32_t bucket) noexcept {
        if (!count_alone(side.buckets.counts[bucket])) has_counted(side, ticks, bucket);
    }
    /// A bucket that is not armed has been counted in.
    static void has_counted(const Side& side, std::uint64_t ticks, std::uint32_t bucket) noexcept {
        note_extremes<Alone>(side.head, ticks);
        sample_first(side, ticks);
        arm(side.cell, side.head, side.buckets, bucket);
    }
    static void arm(const DistributionCell& cell, DistributionHead& head, DistributionBuckets& buckets,
                    std::uint32_t bucket) noexcept {
        const std::uint32_t raw = buckets.counts[bucket].load(relaxed);
        const bool inside = bucket_from_below(cell, ~head.inverted_min.load(relaxed)) < bucket &&
                            bucket < bucket_from_below(cell, head.max.load(relaxed));
        if (counted(raw) == kCarryUnit)
            carry_bucket(head, buckets, bucket, inside ? kArmed : 0);
        else if (inside || counted(raw) + 1 == kCarryUnit)
            buckets.counts[bucket].store(raw | kArmed, relaxed);
    }

private:
    static bool never_sampled(const Side& side) noexcept { return side.head.turn.load(relaxed) == 0; }
    static void sample_first(const Side& side, std::uint64_t ticks) noexcept {
        if (!never_sampled(side)) return;
        sample(side, ticks);
        wait_for_next(side.head);
    }
    static void wait_for_next(DistributionHead& head) noexcept {
        telemetry::move_sum(head, head.sample_pace.load(relaxed) == 0 ? Move::to_due : Move::to_pace);
    }
    static void sample(const Side& side, std::uint64_t ticks) noexcept {
        const int of_one = std::bit_width(ticks);
        const int rarer = keep_sample(side, ticks);
        int pace = static_cast<int>(side.head.sample_pace.load(relaxed));
        if (rarer > 0) pace = std::max(pace + rarer, of_one + 1);
        if (rarer < 0 && (pace += rarer) <= of_one) pace = 0;
        side.head.sample_pace.store(static_cast<std::uint32_t>(std::min(pace, 62)), relaxed);
    }
    /// Position of the bucket of an extreme, also of one outside the buckets.
    static std::int64_t bucket_from_below(const DistributionCell& cell, std::uint64_t ticks) noexcept {
        return sketch::bucket_index(static_cast<double>(ticks) * cell.units_per_tick) - sketch::kFirstBucket;
    }
    /// The bucket starts again and its carry grows by one. `carrying` lets the reader of a process that died in
    /// between tell which of the two stores were made.
    static void carry_bucket(DistributionHead& head, DistributionBuckets& buckets, std::uint32_t bucket,
                             std::uint32_t start) noexcept {
        const auto carry = static_cast<std::uint16_t>(buckets.carries[bucket].load(relaxed) + 1);
        head.carrying.store((bucket + 1) << 16 | carry, std::memory_order_release);
        buckets.carries[bucket].store(carry, std::memory_order_release);
        buckets.counts[bucket].store(start, std::memory_order_release);
        head.carrying.store(kHasCarried, std::memory_order_release);
    }
};

/// How one of several does. No bucket is armed; a sample is every record (pace 0) or one of about 2^pace, with
/// the count-down in the upper bits of the same word, where a few that are lost do no harm.
struct Together {
    static void add(Word& word, std::uint64_t amount) noexcept { word.fetch_add(amount, relaxed); }
    static void raise(Word& word, std::uint64_t value) noexcept { raise_to(word, value); }

    static void add_zero(const Side& side) noexcept {
        sample_now_and_then(side, 0);
        add(side.head.zeros, 1);
    }
    static void add_sum(const Side& side, std::uint64_t ticks) noexcept {
        sample_now_and_then(side, ticks);
        const std::uint64_t before = side.head.running_sum.fetch_add(ticks, relaxed);
        if (before < telemetry::kHalf && before + ticks >= telemetry::kHalf)
            telemetry::move_sum(side.head, Move::half_off);
    }
    static void count(const Side& side, std::uint64_t, std::uint32_t bucket) noexcept {
        const std::uint32_t raw = side.buckets.counts[bucket].fetch_add(2, relaxed);
        if (counted(raw) + 1 >= kCarryUnit) carry_bucket(side.head, side.buckets, bucket);
    }

private:
    static void sample_now_and_then(const Side& side, std::uint64_t ticks) noexcept {
        constexpr int kRarest = 16;
        const std::uint32_t word = side.head.sample_pace.load(relaxed);
        if (const std::uint32_t left = word >> 8; left > 0)
            return side.head.sample_pace.store((left - 1) << 8 | (word & 0xff), relaxed);
        const int rarer = keep_sample(side, ticks);
        const int pace = std::clamp(static_cast<int>(word & 0xff) + rarer, 0, kRarest);
        side.head.sample_pace.store(((1u << pace) - 1) << 8 | static_cast<std::uint32_t>(pace), relaxed);
    }
    /// One thread at a time; a bucket that another one's carry keeps from it is carried at its next record.
    static void carry_bucket(DistributionHead& head, DistributionBuckets& buckets,
                             std::uint32_t bucket) noexcept {
        std::uint32_t idle = head.carrying.load(relaxed);
        const auto carry = static_cast<std::uint16_t>(buckets.carries[bucket].load(relaxed) + 1);
        if (idle > kHasCarried || !head.carrying.compare_exchange_strong(idle, (bucket + 1) << 16 | carry,
                                                                         std::memory_order_acq_rel))
            return;
        if (counted(buckets.counts[bucket].load(relaxed)) >= kCarryUnit) {
            buckets.carries[bucket].store(carry, std::memory_order_release);
            buckets.counts[bucket].fetch_sub(2 * kCarryUnit, std::memory_order_release);
        }
        head.carrying.store(kHasCarried, std::memory_order_release);
    }
};

template <class Writing>
void record_in(std::byte* base, const DistributionCell& whole, std::uint64_t ticks, bool negative) noexcept {
    const Side side(base, whole, negative);
    if (ticks == 0) return Writing::add_zero(side);
    ticks = std::min<std::uint64_t>(ticks, INT64_MAX);
    note_extremes<Writing>(side.head, ticks);
    Writing::add_sum(side, ticks);
    if (const std::uint64_t bucket = bucket_of(side.cell, ticks); bucket < sketch::kBucketCount)
        return Writing::count(side, ticks, static_cast<std::uint32_t>(bucket));
    const bool small = static_cast<double>(ticks) * side.cell.units_per_tick < 1;
    Writing::add(small ? side.head.underflow : side.head.overflow, 1);
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

void record_sampled(const DistributionCell& cell, std::uint64_t ticks, std::uint64_t bucket) noexcept {
    const Side side(own_lane, cell, false);
    Alone::sum_is_full(side, ticks);
    Alone::count(side, ticks, static_cast<std::uint32_t>(bucket));
}

void record_unarmed(const DistributionCell& cell, std::uint64_t ticks, std::uint64_t bucket) noexcept {
    // Buckets of extremes come here at every record, others until they are armed, which is tried at every
    // count that is a power of two.
    const DistributionHead& head = cell.head(own_lane);
    const std::uint32_t raw = cell.buckets(own_lane).counts[bucket].load(relaxed);
    if (~ticks <= head.inverted_min.load(relaxed) && ticks <= head.max.load(relaxed) &&
        (raw & (raw - 1)) != 0 && raw != (kCarryUnit - 1) << 1)
        return;
    Alone::has_counted({own_lane, cell, false}, ticks, static_cast<std::uint32_t>(bucket));
}

void count_unarmed(const DistributionCell& cell, std::uint32_t bucket) noexcept {
    Alone::arm(cell, cell.head(own_lane), cell.buckets(own_lane), bucket);
}

void keep_more_samples(std::uint32_t head_offset) noexcept {
    if (process_lanes.count == 0) return;
    const auto head_in = [&](unsigned lane) -> DistributionHead& {
        return *reinterpret_cast<DistributionHead*>(process_lanes.first + lane * process_lanes.stride +
                                                    head_offset);
    };
    // Another thread's own lane is not to be touched. In the shared one a count-down more or less does no harm.
    const unsigned last = process_lanes.count - 1;
    if (process_lanes.touched->load(relaxed) >> last & 1) {
        DistributionHead& head = head_in(last);
        const std::uint32_t pace = head.sample_pace.load(relaxed) & 0xff;
        if (pace > 0) head.sample_pace.store(((1u << (pace - 1)) - 1) << 8 | (pace - 1), relaxed);
    }
    if (own_lane != process_lanes.first || last == 0) return;
    DistributionHead& head = head_in(0);
    const std::uint32_t pace = head.sample_pace.load(relaxed);
    if (pace == 0) return;
    const bool of_one = pace <= static_cast<unsigned>(std::bit_width(~head.inverted_min.load(relaxed)));
    head.sample_pace.store(of_one ? 0 : pace - 1, relaxed);
    const Move move = of_one ? Move::to_due : Move::to_pace;
    if (head.running_sum.load(relaxed) < telemetry::start_after(head, move)) telemetry::move_sum(head, move);
}

}  // namespace signalbox::detail
