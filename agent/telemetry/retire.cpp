#include "agent/telemetry/retire.hpp"

#include "agent/telemetry/cells.hpp"
#include "agent/telemetry/directory.hpp"
#include "agent/telemetry/distinct_windows.hpp"
#include "common/sketch/heavy_hitters.hpp"

namespace signalbox::telemetry {
namespace {

void fold_lane(Segment& segment, const std::byte* from, std::byte* into) {
    const Geometry& g = segment.geometry();
    for (std::uint32_t i = 0; i < g.directory_capacity; ++i) {
        const DirectoryEntry& entry = segment.entry(i);
        if (state_of(entry.state) == EntryState::vacant) break;
        const auto checked = check_entry(entry, i, g);
        if (!checked) continue;
        const std::uint32_t head = checked->cell.head_offset;
        switch (checked->instrument.kind) {
            case wire::InstrumentKind::counter:
                detail::add_alone(
                    *reinterpret_cast<detail::Word*>(into + head),
                    reinterpret_cast<const detail::Word*>(from + head)->load(std::memory_order_relaxed));
                break;
            case wire::InstrumentKind::gauge:
                break;  // a value that is gone with its process
            case wire::InstrumentKind::distinct:
                break;  // not in lanes
            case wire::InstrumentKind::heavy_hitters: {
                auto& used = *reinterpret_cast<detail::Word*>(into + head);
                if (reinterpret_cast<const detail::Word*>(from + head)->load(std::memory_order_acquire) == 0)
                    break;
                used.store(1, std::memory_order_release);
                const std::uint32_t table = checked->cell.block_offset;
                auto& retired = *reinterpret_cast<sketch::SpaceSavingTable*>(into + table);
                sketch::HeavyHitters all =
                    sketch::read(*reinterpret_cast<const sketch::SpaceSavingTable*>(from + table));
                all.merge(sketch::read(retired));
                sketch::store(all, retired);
                break;
            }
            case wire::InstrumentKind::distribution:
                fold_cells(from, into, checked->cell);
                break;
        }
    }
}

void fold_seat(Segment& segment, unsigned seat, std::byte* into) {
    const std::uint32_t touched = segment.seat(seat)->lanes_touched.load(std::memory_order_acquire);
    for (unsigned lane = 0; lane < segment.geometry().lane_count; ++lane)
        if (touched >> lane & 1) fold_lane(segment, segment.lane(seat, lane), into);
}

/// Before the fold is committed, or after: registers that are counted twice are counted once.
void fold_registers(Segment& segment, unsigned seat) {
    if (segment.seat(seat)->registers_touched.load(std::memory_order_acquire) == 0) return;
    segment.header().retired_registers_touched.store(1, std::memory_order_release);
    const Geometry& g = segment.geometry();
    for (std::uint32_t i = 0; i < g.directory_capacity; ++i) {
        const DirectoryEntry& entry = segment.entry(i);
        if (state_of(entry.state) == EntryState::vacant) break;
        const auto checked = check_entry(entry, i, g);
        if (!checked || checked->instrument.kind != wire::InstrumentKind::distinct) continue;
        const std::uint32_t block = checked->cell.block_offset;
        fold(*reinterpret_cast<const DistinctBlock*>(segment.registers(seat) + block),
             *reinterpret_cast<DistinctBlock*>(segment.retired_registers() + block), checked->cell.precision);
    }
}

/// Back to the state of zeroed memory, but for the rings, which go on.
void vacate(Seat& seat) {
    seat.pid.store(0, std::memory_order_release);
    auto* words = reinterpret_cast<AtomicWord*>(&seat);
    for (std::size_t i = 0; i < sizeof(Seat) / sizeof(AtomicWord); ++i)
        if (&words[i] != &seat.ring_head && &words[i] != &seat.action_head)
            words[i].store(0, std::memory_order_relaxed);
}

}  // namespace

void retire_seat(Segment& segment, unsigned seat_index) {
    Header& header = segment.header();
    Seat& seat = *segment.seat(seat_index);
    const RetiredWord before = RetiredWord::unpack(header.retired.load(std::memory_order_acquire));
    const RetiredWord after{before.active ^ 1u, seat_index, seat.generation.load(std::memory_order_relaxed)};

    detail::add_alone(header.fold_sequence, 1);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    fold_registers(segment, seat_index);
    fold_seat(segment, seat_index, segment.retired_lane(after.active));
    header.retired.store(after.pack(), std::memory_order_release);

    // Committed. The other lane catches up, so that the next fold starts from equal lanes; then the seat is
    // emptied.
    fold_seat(segment, seat_index, segment.retired_lane(before.active));
    const Geometry& g = segment.geometry();
    segment.clear(segment.offset_of(segment.connections(seat_index)),
                  kConnectionRecords * sizeof(ConnectionRecord));
    segment.clear(segment.offset_of(segment.lane(seat_index, 0)),
                  g.lane_count * std::uint64_t{g.lane_bytes} + g.registers_bytes);
    vacate(seat);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    detail::add_alone(header.fold_sequence, 1);
}

}  // namespace signalbox::telemetry
