#include <stdexcept>
#include <string>

#include "agent/telemetry/attachment.hpp"
#include "agent/telemetry/directory.hpp"
#include "agent/telemetry/distinct_windows.hpp"
#include "agent/telemetry/seat.hpp"
#include "common/sketch/distinct_hash.hpp"
#include "common/sketch/space_saving.hpp"
#include "signalbox/distinct.hpp"
#include "signalbox/heavy_hitters.hpp"

namespace signalbox {
namespace {

unsigned checked_precision(std::string_view name, unsigned precision) {
    if (precision >= sketch::kLeastDistinctPrecision && precision <= sketch::kMostDistinctPrecision)
        return precision;
    throw std::invalid_argument("distinct " + std::string(name) + ": precision " + std::to_string(precision) +
                                " is not within 8 and 16; 12 has an error of 1.2 %");
}

}  // namespace

Distinct::Distinct(Telemetry& telemetry, std::string_view name, std::string_view help, unsigned precision,
                   const Labels& labels, std::source_location where)
    : block_offset_(telemetry::register_instrument(telemetry.segment(),
                                                   {.kind = wire::InstrumentKind::distinct,
                                                    .name = name,
                                                    .help = help,
                                                    .labels = labels,
                                                    .precision = checked_precision(name, precision),
                                                    .defined_at = where})
                        .block_offset),
      precision_(precision) {}

void Distinct::add(std::string_view element) noexcept {
    std::byte* const registers = detail::process_registers();
    if (!registers) return;
    auto& block = *reinterpret_cast<telemetry::DistinctBlock*>(registers + block_offset_);
    std::uint64_t current = block.current.load(std::memory_order_acquire);
    if (current == 0) [[unlikely]] {
        // The first one of the process: several threads may come here, and do the same.
        detail::touch_registers();
        telemetry::advance(block, precision_, telemetry::monotonic_ns());
        current = block.current.load(std::memory_order_acquire);
    }
    std::atomic<std::uint8_t>* const slice =
        block.registers() + (current % telemetry::kDistinctSlices << precision_);
    if (sketch::add_distinct(slice, precision_, element))
        block.changes.fetch_add(1, std::memory_order_relaxed);
}

HeavyHitters::HeavyHitters(Telemetry& telemetry, std::string_view name, std::string_view help,
                           const Labels& labels, std::source_location where) {
    const telemetry::InstrumentCell cell =
        telemetry::register_instrument(telemetry.segment(), {.kind = wire::InstrumentKind::heavy_hitters,
                                                             .name = name,
                                                             .help = help,
                                                             .labels = labels,
                                                             .defined_at = where});
    used_offset_ = cell.head_offset;
    table_offset_ = cell.block_offset;
}

void HeavyHitters::add_elsewhere(std::string_view key, std::uint64_t amount) noexcept {
    const detail::LanePlace place = detail::lane_place();
    if (!place.base) return;
    reinterpret_cast<detail::Word*>(place.base + used_offset_)->store(1, std::memory_order_release);
    auto& table = *reinterpret_cast<sketch::SpaceSavingTable*>(place.base + table_offset_);
    if (place.alone)
        sketch::add(table, key, amount);
    else
        sketch::add_shared(table, key, amount);
}

}  // namespace signalbox
