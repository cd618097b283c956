#include "agent/telemetry/seat_counts.hpp"

#include "agent/telemetry/directory.hpp"

namespace signalbox::telemetry {
namespace {

std::uint64_t count_in_lanes(Segment& segment, unsigned seat, std::uint32_t offset) {
    const std::uint32_t touched = segment.seat(seat)->lanes_touched.load(std::memory_order_acquire);
    std::uint64_t total = 0;
    for (unsigned lane = 0; lane < segment.geometry().lane_count; ++lane)
        if (touched >> lane & 1)
            total += reinterpret_cast<const detail::Word*>(segment.lane(seat, lane) + offset)
                         ->load(std::memory_order_relaxed);
    return total;
}

}  // namespace

std::uint64_t count_in_seat(Segment& segment, unsigned seat, std::string_view name) {
    const Geometry& g = segment.geometry();
    std::uint64_t total = 0;
    for (std::uint32_t i = 0; i < g.directory_capacity; ++i) {
        const DirectoryEntry& entry = segment.entry(i);
        if (state_of(entry.state) == EntryState::vacant) break;
        const auto checked = check_entry(entry, i, g);
        if (checked && checked->instrument.kind == wire::InstrumentKind::counter &&
            checked->instrument.name == name)
            total += count_in_lanes(segment, seat, checked->cell.head_offset);
    }
    return total;
}

}  // namespace signalbox::telemetry
