#include "signalbox/telemetry.hpp"

#include <bit>
#include <stdexcept>

#include "agent/telemetry/attachment.hpp"
#include "agent/telemetry/directory.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox {

using telemetry::LaneKind;
using telemetry::register_instrument;

Telemetry::Telemetry(TelemetryOptions options) : segment_(std::make_unique<telemetry::Segment>(options)) {}

Telemetry::~Telemetry() {
    detach();
}

void Telemetry::attach(unsigned seat) {
    if (!segment_->seat(seat)) throw std::out_of_range("there is no seat " + std::to_string(seat));
    detail::attach_process(segment_->lane(seat, LaneKind::owner), segment_->lane(seat, LaneKind::shared));
}

void Telemetry::detach() {
    detail::attach_process(nullptr, nullptr);
}

Counter::Counter(Telemetry& telemetry, std::string_view name, std::string_view help, const Labels& labels)
    : offset_(register_instrument(telemetry.segment(), {.kind = wire::InstrumentKind::counter,
                                                        .name = name,
                                                        .unit = "",
                                                        .help = help,
                                                        .labels = labels})
                  .head_offset) {}

Gauge::Gauge(Telemetry& telemetry, std::string_view name, std::string_view help, Merge merge,
             const Labels& labels)
    : offset_(register_instrument(
                  telemetry.segment(),
                  {.kind = wire::InstrumentKind::gauge,
                   .aggregation = merge == Merge::max ? wire::Aggregation::max : wire::Aggregation::sum,
                   .name = name,
                   .unit = "",
                   .help = help,
                   .labels = labels})
                  .head_offset) {}

void Gauge::set(double value) noexcept {
    if (detail::Word* word = detail::process_word(offset_))
        word->store(std::bit_cast<std::uint64_t>(value), std::memory_order_relaxed);
}

Distribution::Distribution(Telemetry& telemetry, std::string_view name, std::string_view help,
                           std::string_view unit, double ticks_per_unit, const Labels& labels) {
    const telemetry::Cells cells =
        register_instrument(telemetry.segment(), {.kind = wire::InstrumentKind::distribution,
                                                  .name = name,
                                                  .unit = unit,
                                                  .help = help,
                                                  .labels = labels,
                                                  .ticks_per_unit = ticks_per_unit});
    cell_ = {cells.head_offset, cells.buckets_offset, 1 / ticks_per_unit};
}

}  // namespace signalbox
