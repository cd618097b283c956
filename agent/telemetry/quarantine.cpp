#include "agent/telemetry/quarantine.hpp"

#include <fmt/format.h>

#include "agent/telemetry/view.hpp"
#include "common/sketch/space_saving.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint32_t kLargestPid = 1u << 22;                 // of Linux
constexpr std::uint64_t kGenerations = std::uint64_t{1} << 52;  // what Header::retired has room for
/// What clocks read by different processes may seem to differ.
constexpr std::uint64_t kSlackNs = 1'000'000'000;

std::string fault_of(const SegmentView& view, const Seat& seat, unsigned index, std::uint32_t pid) {
    if (pid > kLargestPid) return fmt::format("no process has the pid {}", pid);
    const std::uint32_t phase = seat.phase.load(relaxed);
    if (phase > static_cast<std::uint32_t>(Phase::draining)) return fmt::format("its phase is {}", phase);
    const std::uint64_t latest = view.now() + kSlackNs;
    if (seat.heartbeat_monotonic_ns.load(relaxed) > latest) return "its heartbeat is in the future";
    if (seat.started_monotonic_ns.load(relaxed) > latest) return "it started in the future";
    if (index + 1 == view.geometry().seat_count) return {};  // the arbiter's has no slot and no generation
    if (const std::uint32_t slot = seat.slot.load(relaxed); slot != index / 2)
        return fmt::format("it says that it is of slot {}", slot);
    const std::uint64_t generation = seat.generation.load(relaxed);
    if (generation == 0 || generation >= kGenerations) return fmt::format("its generation is {}", generation);
    return {};
}

}  // namespace

std::string seat_fault(const SegmentView& view, unsigned index) {
    const Seat& seat = view.seat(index);
    const std::uint32_t pid = seat.pid.load(std::memory_order_acquire);
    if (pid == 0) return {};
    std::string fault = fault_of(view, seat, index, pid);
    if (fault.empty()) return {};
    // It may just be vacated or taken: the pid is the last to come and the first to go.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (seat.pid.load(relaxed) != pid) return {};
    return fmt::format("seat {}: {}", index, fault);
}

bool CellScreen::is_free(const Part& part) const {
    const auto next = taken_.lower_bound(part.offset);
    if (next != taken_.end() && next->first < part.offset + part.bytes) return false;
    return next == taken_.begin() || std::prev(next)->second <= part.offset;
}

bool CellScreen::admit(const CheckedEntry& entry) {
    // Registers are an area of their own; here they lie behind any lane.
    constexpr std::uint64_t kRegisters = std::uint64_t{1} << 40;
    const InstrumentCell& cell = entry.cell;
    const std::uint64_t sides = cell.is_signed ? 2 : 1;
    std::vector<Part> parts;
    switch (entry.instrument.kind) {
        case wire::InstrumentKind::counter:
        case wire::InstrumentKind::gauge:
            parts = {{cell.head_offset, sizeof(detail::Word)}};
            break;
        case wire::InstrumentKind::distribution:
            parts = {{cell.head_offset, sides * sizeof(detail::DistributionHead)},
                     {cell.samples_offset, sizeof(detail::SampleRing)},
                     {cell.buckets_offset, sides * sizeof(detail::DistributionBuckets)}};
            break;
        case wire::InstrumentKind::distinct:
            parts = {{kRegisters + cell.block_offset, DistinctBlock::bytes(cell.precision)}};
            break;
        case wire::InstrumentKind::heavy_hitters:
            parts = {{cell.head_offset, sizeof(detail::Word)},
                     {cell.block_offset, sizeof(sketch::SpaceSavingTable)}};
            break;
    }
    for (const Part& part : parts)
        if (!is_free(part)) return false;
    for (const Part& part : parts)
        taken_.emplace(part.offset, part.offset + part.bytes);
    return true;
}

std::vector<Fault> find_faults(const SegmentView& view) {
    std::vector<Fault> faults;
    for (unsigned seat = 0; seat < view.geometry().seat_count; ++seat)
        if (std::string text = seat_fault(view, seat); !text.empty())
            faults.push_back({Fault::Where::seat, seat, std::move(text)});
    CellScreen screen;
    for (std::uint32_t i = 0; !view.entry_is_vacant(i); ++i) {
        if (!view.entry_is_settled(i)) continue;
        const auto entry = view.entry(i);
        if (!entry)
            faults.push_back(
                {Fault::Where::entry, i, fmt::format("directory entry {}: it makes no sense", i)});
        else if (!screen.admit(*entry))
            faults.push_back({Fault::Where::entry, i,
                              fmt::format("directory entry {}: its cells are another instrument's", i)});
    }
    return faults;
}

}  // namespace signalbox::telemetry
