#include "agent/telemetry/inherited_totals.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

#include "agent/telemetry/cells.hpp"
#include "agent/telemetry/distinct_windows.hpp"
#include "common/sketch/space_saving.hpp"

namespace signalbox::telemetry {
namespace {

using wire::InstrumentKind;

std::string key_of(const wire::Instrument& instrument) {
    std::string key = fmt::format("{} {}", static_cast<int>(instrument.kind), instrument.name);
    for (const auto& [label, value] : instrument.labels)
        key += fmt::format("\n{}={}", label, value);
    return key;
}

template <class Number>
Number grown(Number now, Number before) {
    return now > before ? now - before : 0;
}

/// What `now` is more than `held`; the extremes are those of `now`.
SideTotals difference(const Recorded::Side& now, const SideTotals& held) {
    SideTotals more;
    static_cast<SideHead&>(more) = now.head;
    more.sum = grown(now.head.sum, held.sum);
    more.zeros = grown(now.head.zeros, held.zeros);
    more.underflow = grown(now.head.underflow, held.underflow);
    more.overflow = grown(now.head.overflow, held.overflow);
    more.infinities = grown(now.head.infinities, held.infinities);
    if (now.counts.empty()) return more;
    more.first = static_cast<std::uint32_t>(now.counts.first() - sketch::kFirstBucket);
    more.counts.resize(now.counts.size());
    for (std::size_t i = 0; i < more.counts.size(); ++i) {
        const std::size_t bucket = more.first + i;
        const bool has = bucket >= held.first && bucket - held.first < held.counts.size();
        more.counts[i] = grown(now.counts[i], has ? held.counts[bucket - held.first] : 0);
    }
    return more;
}

void raise_distribution(std::span<const Recorded::Side> sides, std::byte* lane, const InstrumentCell& cell) {
    if (sides.empty()) return;
    DistributionTotals held;
    add_cells(lane, cell, held);
    DistributionTotals more;
    more.above = difference(sides[0], held.above);
    if (sides.size() == 2) more.below = difference(sides[1], held.below);
    more.nans = grown(sides[0].nans, held.nans);
    add_totals(more, lane, cell);
}

}  // namespace

InheritedTotals::InheritedTotals(Segment& segment, int descriptor)
    : segment_(segment),
      descriptor_(descriptor),
      lane_(segment.lane(segment.arbiter_seat(), segment.geometry().lane_count - 1)),
      view_(descriptor),
      collector_(view_),
      places_(view_.geometry().directory_capacity) {
    // Or workers would keep the other group's memory for as long as they live.
    ::madvise(const_cast<Header*>(&view_.header()), view_.geometry().total_bytes, MADV_DONTFORK);
}

InheritedTotals::~InheritedTotals() = default;

void InheritedTotals::learn_own() {
    const Geometry& g = segment_.geometry();
    for (; own_next_ < g.directory_capacity; ++own_next_) {
        if (state_of(segment_.entry(own_next_).state) == EntryState::vacant) return;
        if (const auto entry = check_entry(segment_.entry(own_next_), own_next_, g))
            own_.emplace(key_of(entry->instrument), own_next_);
    }
}

const InstrumentCell* InheritedTotals::place_of(const CheckedEntry& theirs) {
    Place& place = places_[theirs.instrument.index];
    if (place.known) return place.cell ? &*place.cell : nullptr;
    place.known = true;
    const wire::Instrument& what = theirs.instrument;
    try {
        // Registering looks at all entries; most are there already.
        learn_own();
        const auto found = own_.find(key_of(what));
        const auto ours = found == own_.end() ? std::nullopt
                                              : check_entry(segment_.entry(found->second), found->second,
                                                            segment_.geometry());
        const bool same = ours && ours->instrument.unit == what.unit &&
                          ours->instrument.aggregation == what.aggregation &&
                          ours->ticks_per_unit == theirs.ticks_per_unit && ours->shape == theirs.shape &&
                          ours->cell.precision == theirs.cell.precision;
        place.cell = same ? ours->cell
                          : register_instrument(segment_, {.kind = what.kind,
                                                           .aggregation = what.aggregation,
                                                           .name = what.name,
                                                           .unit = what.unit,
                                                           .help = what.help,
                                                           .labels = what.labels,
                                                           .ticks_per_unit = theirs.ticks_per_unit,
                                                           .shape = theirs.shape,
                                                           .precision = theirs.cell.precision});
    } catch (const std::exception& error) {
        obstacles_.emplace_back(error.what());
    }
    return place.cell ? &*place.cell : nullptr;
}

void InheritedTotals::advance() {
    take(view_, collector_);
}

void InheritedTotals::finish() {
    const SegmentView still(descriptor_, SegmentView::Hold::copy);
    Collector collector(still);
    take(still, collector);
}

void InheritedTotals::take(const SegmentView& view, Collector& collector) {
    collector.collect();
    Header& header = segment_.header();
    Seat& seat = *segment_.seat(segment_.arbiter_seat());
    // Readers of this segment wait, as they do while a worker is folded: a bucket and its carry change together.
    detail::add_alone(header.fold_sequence, 1);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    seat.lanes_touched.fetch_or(1u << (segment_.geometry().lane_count - 1), std::memory_order_release);
    collector.visit_totals([this](const Collector::Total& total) {
        const InstrumentCell* cell = place_of(total.entry);
        if (!cell) return;
        auto& head = *reinterpret_cast<detail::Word*>(lane_ + cell->head_offset);
        switch (total.entry.instrument.kind) {
            case InstrumentKind::counter:
                detail::add_alone(head, grown(total.count, head.load(std::memory_order_relaxed)));
                break;
            case InstrumentKind::distribution:
                raise_distribution(total.sides, lane_, *cell);
                break;
            case InstrumentKind::heavy_hitters:
                if (!total.keys) break;
                sketch::store(*total.keys,
                              *reinterpret_cast<sketch::SpaceSavingTable*>(lane_ + cell->block_offset));
                head.store(1, std::memory_order_release);
                break;
            default:
                break;
        }
    });
    // Registers that are folded again change nothing.
    std::byte* const registers = segment_.registers(segment_.arbiter_seat());
    for (std::uint32_t i = 0; !view.entry_is_vacant(i); ++i) {
        const auto entry = view.entry(i);
        if (!entry || entry->instrument.kind != InstrumentKind::distinct) continue;
        const InstrumentCell* cell = place_of(*entry);
        if (!cell) continue;
        auto& into = *reinterpret_cast<DistinctBlock*>(registers + cell->block_offset);
        const auto add = [&](const std::byte* from) {
            seat.registers_touched.store(1, std::memory_order_release);
            fold(*reinterpret_cast<const DistinctBlock*>(from + entry->cell.block_offset), into,
                 cell->precision);
        };
        if (view.header().retired_registers_touched.load(std::memory_order_acquire) != 0)
            add(view.retired_registers());
        for (unsigned other = 0; other < view.geometry().seat_count; ++other)
            if (view.seat(other).registers_touched.load(std::memory_order_acquire) != 0 &&
                seat_fault(view, other).empty())
                add(view.registers(other));
    }
    std::atomic_thread_fence(std::memory_order_seq_cst);
    detail::add_alone(header.fold_sequence, 1);
}

}  // namespace signalbox::telemetry
