#include <fmt/format.h>

#include <algorithm>

#include "agent/telemetry/bucket_copy.hpp"
#include "agent/telemetry/cells.hpp"
#include "agent/telemetry/quarantine.hpp"
#include "agent/telemetry/verify.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto kBuckets = static_cast<std::uint32_t>(sketch::kBucketCount);

struct Lane {
    const std::byte* base;
    std::string name;
};

/// The instruments whose cells are their own.
std::vector<CheckedEntry> sound_entries(const SegmentView& view) {
    std::vector<CheckedEntry> entries;
    CellScreen screen;
    for (std::uint32_t i = 0; !view.entry_is_vacant(i); ++i)
        if (auto entry = view.entry(i); entry && screen.admit(*entry)) entries.push_back(std::move(*entry));
    return entries;
}

void verify_buckets(const detail::DistributionHead& head, const detail::DistributionBuckets& buckets,
                    const detail::DistributionCell& cell, const std::string& where, Violations& violations) {
    const std::uint64_t inverted_min = head.inverted_min.load(relaxed);
    const std::uint64_t max = head.max.load(relaxed);
    const bool any = inverted_min != 0 && max != 0;
    const std::uint32_t first = any ? bucket_of_extreme(cell, ~inverted_min) : kBuckets;
    const std::uint32_t last = any ? bucket_of_extreme(cell, max) : 0;
    const bool carried = head.carrying.load(relaxed) != 0;
    for (std::uint32_t i = 0; i < kBuckets; ++i) {
        // A writer that died may have counted one that is outside, but no more.
        if (detail::counted(buckets.counts[i].load(relaxed)) > 1 && (i < first || i > last))
            return violations.add(
                fmt::format("{}: bucket {} counts, but lies outside its extremes", where, i));
        if (buckets.carries[i].load(relaxed) != 0 && !carried)
            return violations.add(fmt::format("{}: bucket {} has a carry, its head knows of none", where, i));
    }
}

/// One head and its buckets.
void verify_side(const detail::DistributionCell& cell, const Lane& lane, const std::string& where,
                 Writers writers, Violations& violations) {
    auto* base = const_cast<std::byte*>(lane.base);  // the accessors are shared with writers
    const detail::DistributionHead& head = cell.head(base);
    const std::uint32_t carrying = head.carrying.load(relaxed);
    const detail::PendingRecord pending{head.pending.load(relaxed)};
    violations.expect(
        pending.waiting() <= kBuckets && pending.first() <= kBuckets,
        fmt::format("{}: a record waits for bucket {}", where, std::max(pending.waiting(), pending.first())));
    violations.expect(carrying <= detail::kHasCarried || (carrying >> 16 >= 1 && carrying >> 16 <= kBuckets),
                      fmt::format("{}: its carrying word is {:#x}", where, carrying));
    if (writers == Writers::busy) return;

    const std::uint64_t inverted_min = head.inverted_min.load(relaxed);
    const std::uint64_t max = head.max.load(relaxed);
    if (inverted_min != 0 && max != 0)
        violations.expect(~inverted_min <= max, fmt::format("{}: its minimum {} is above its maximum {}",
                                                            where, ~inverted_min, max));
    verify_buckets(head, cell.buckets(base), cell, where, violations);

    detail::DistributionCell this_side = cell;
    this_side.is_signed = false;
    DistributionTotals totals;
    add_cells(lane.base, this_side, totals);
    const SideTotals& side = totals.above;
    Uint128 counted = Uint128{side.underflow} + side.overflow;
    for (const std::uint64_t count : side.counts)
        counted += count;
    // The sum comes before the count, so it has at least what is counted, and for each writer that died at it
    // one record more, which is at most 2^63 - 1.
    violations.expect(side.sum >= counted * (counted > 0 ? ~inverted_min : 0),
                      fmt::format("{}: its sum is less than its {} values can have", where,
                                  static_cast<std::uint64_t>(counted)));
    if (counted == 0)
        violations.expect(side.sum >> 70 == 0, fmt::format("{}: it has a sum, but counts nothing", where));
}

void verify_distribution(const CheckedEntry& entry, const Lane& lane, Writers writers,
                         Violations& violations) {
    const std::string where = fmt::format("{}: distribution {}", lane.name, entry.instrument.index);
    verify_side(entry.cell, lane, where, writers, violations);
    if (entry.cell.is_signed)
        verify_side(entry.cell.below_zero(), lane, where + " below zero", writers, violations);
}

/// [from, to) of the lane is zero.
bool untouched(const Lane& lane, std::uint64_t from, std::uint64_t to) {
    return from >= to || is_zero({lane.base + from, lane.base + to});
}

void verify_lane(const SegmentView& view, const std::vector<CheckedEntry>& entries, const Lane& lane,
                 Writers writers, Violations& violations) {
    for (const CheckedEntry& entry : entries)
        if (entry.instrument.kind == wire::InstrumentKind::distribution)
            verify_distribution(entry, lane, writers, violations);
    if (writers == Writers::busy) return;
    const auto rest_is_zero = [&](std::uint32_t start, const AtomicHalf& taken, std::uint32_t end,
                                  const char* what) {
        violations.expect(untouched(lane, std::uint64_t{start} + taken.load(relaxed), end),
                          fmt::format("{}: there are {} beyond those that are taken", lane.name, what));
    };
    const Header& h = view.header();
    const Geometry& g = view.geometry();
    rest_is_zero(0, h.heads_taken, g.samples_start, "cells");
    rest_is_zero(g.samples_start, h.samples_taken, g.buckets_start, "samples");
    rest_is_zero(g.buckets_start, h.buckets_taken, g.tables_start, "buckets");
    rest_is_zero(g.tables_start, h.tables_taken, g.lane_bytes, "tables");
}

}  // namespace

void verify_lanes(const SegmentView& view, Writers writers, Violations& violations) {
    const Geometry& g = view.geometry();
    const std::vector<CheckedEntry> entries = sound_entries(view);
    for (unsigned which = 0; which < 2; ++which)
        verify_lane(view, entries, {view.retired_lane(which), fmt::format("retired lane {}", which)}, writers,
                    violations);
    for (unsigned seat = 0; seat < g.seat_count; ++seat) {
        const std::uint32_t touched = view.seat(seat).lanes_touched.load(std::memory_order_acquire);
        for (unsigned index = 0; index < g.lane_count; ++index) {
            const Lane lane{view.lane(seat, index), fmt::format("seat {}'s lane {}", seat, index)};
            if (touched >> index & 1)
                verify_lane(view, entries, lane, writers, violations);
            else
                violations.expect(writers == Writers::busy || untouched(lane, 0, g.lane_bytes),
                                  fmt::format("{}: no thread has had it, but it is not empty", lane.name));
        }
    }
}

}  // namespace signalbox::telemetry
