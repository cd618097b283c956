#include "signalbox/telemetry.hpp"

#include <bit>
#include <stdexcept>

#include "agent/telemetry/attachment.hpp"
#include "agent/telemetry/directory.hpp"
#include "agent/telemetry/distinct_windows.hpp"
#include "agent/telemetry/event_source.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox {

using telemetry::register_instrument;

Telemetry::Telemetry(TelemetryOptions options)
    : segment_(std::make_unique<telemetry::Segment>(options)),
      events_(std::make_unique<telemetry::EventSource>(*this)) {
    detail::calibrate_section_clock();
}

Telemetry::~Telemetry() {
    detach();
}

void Telemetry::attach(unsigned index) {
    telemetry::Seat* seat = segment_->seat(index);
    if (!seat) throw std::out_of_range("there is no seat " + std::to_string(index));
    detail::calibrate_section_clock();
    detail::attach_process({segment_->lane(index, 0), segment_->geometry().lane_bytes,
                            segment_->geometry().lane_count, &seat->lanes_claimed, &seat->lanes_touched,
                            segment_->registers(index), &seat->registers_touched});
    events_->attach(index);
}

void Telemetry::detach() {
    detail::attach_process({});
    events_->detach();
}

namespace {

/// Of a Distinct that this process records to.
void advance_windows(const telemetry::DirectoryEntry& entry, std::uint64_t now) {
    std::byte* const registers = detail::touched_registers();
    if (!registers) return;
    auto& block = *reinterpret_cast<telemetry::DistinctBlock*>(registers + entry.block_offset);
    if (block.current.load(std::memory_order_relaxed) != 0) telemetry::advance(block, entry.precision, now);
}

wire::Aggregation aggregation_of(Gauge::Merge merge) {
    switch (merge) {
        case Gauge::Merge::sum:
            break;
        case Gauge::Merge::max:
            return wire::Aggregation::max;
        case Gauge::Merge::last:
            return wire::Aggregation::last;
    }
    return wire::Aggregation::sum;
}

}  // namespace

void Telemetry::refresh() {
    for (std::size_t i = 0; i < watchers_.size(); ++i) {  // one may add another
        try {
            watchers_[i]();
        } catch (...) {
            // What it does about the change is the caller's business.
        }
    }
    for (const auto& follow : followed_) {
        try {
            follow();
        } catch (...) {
            // What is read belongs to the caller, and the old value is the best that is known of it.
        }
    }
    const std::uint64_t now = telemetry::monotonic_ns();
    for (unsigned i = 0; i < segment_->geometry().directory_capacity; ++i) {
        const telemetry::DirectoryEntry& entry = segment_->entry(i);
        const telemetry::EntryState state = telemetry::state_of(entry.state);
        if (state == telemetry::EntryState::vacant) break;
        if (state != telemetry::EntryState::ready) continue;
        if (entry.kind == static_cast<std::uint32_t>(wire::InstrumentKind::distribution))
            detail::keep_more_samples(entry.head_offset);
        if (entry.kind == static_cast<std::uint32_t>(wire::InstrumentKind::distinct))
            advance_windows(entry, now);
    }
}

Counter::Counter(Telemetry& telemetry, std::string_view name, std::string_view help, const Labels& labels,
                 std::source_location where)
    : offset_(register_instrument(telemetry.segment(), {.kind = wire::InstrumentKind::counter,
                                                        .name = name,
                                                        .help = help,
                                                        .labels = labels,
                                                        .defined_at = where})
                  .head_offset) {}

Gauge::Gauge(Telemetry& telemetry, std::string_view name, std::string_view help, Merge merge,
             const Labels& labels, std::source_location where)
    : offset_(register_instrument(telemetry.segment(), {.kind = wire::InstrumentKind::gauge,
                                                        .aggregation = aggregation_of(merge),
                                                        .name = name,
                                                        .unit = "",
                                                        .help = help,
                                                        .labels = labels,
                                                        .defined_at = where})
                  .head_offset),
      timed_(merge == Merge::last) {}

void Gauge::set(double value) noexcept {
    detail::Word* word = detail::process_word(offset_);
    if (!word) return;
    word->store(std::bit_cast<std::uint64_t>(value), std::memory_order_relaxed);
    note_time(word);
}

void Gauge::add(double amount) noexcept {
    detail::Word* word = detail::process_word(offset_);
    if (!word) return;
    std::uint64_t seen = word->load(std::memory_order_relaxed);
    while (!word->compare_exchange_weak(seen,
                                        std::bit_cast<std::uint64_t>(std::bit_cast<double>(seen) + amount),
                                        std::memory_order_relaxed)) {
    }
    note_time(word);
}

void Gauge::note_time(detail::Word* word) noexcept {
    if (timed_) word[1].store(telemetry::monotonic_ns(), std::memory_order_relaxed);
}

void Gauge::follow(Telemetry& telemetry, std::function<double()> read) {
    telemetry.followed_.emplace_back(
        [gauge = *this, read = std::move(read)]() mutable { gauge.set(read()); });
}

Distribution::Distribution(Telemetry& telemetry, std::string_view name, std::string_view help,
                           std::string_view unit, double ticks_per_unit, const Labels& labels,
                           std::source_location where)
    : cell_(register_instrument(telemetry.segment(), {.kind = wire::InstrumentKind::distribution,
                                                      .name = name,
                                                      .unit = unit,
                                                      .help = help,
                                                      .labels = labels,
                                                      .ticks_per_unit = ticks_per_unit,
                                                      .defined_at = where})) {}

SignedDistribution::SignedDistribution(Telemetry& telemetry, std::string_view name, std::string_view help,
                                       std::string_view unit, double ticks_per_unit, const Labels& labels,
                                       std::source_location where)
    : cell_(register_instrument(telemetry.segment(), {.kind = wire::InstrumentKind::distribution,
                                                      .name = name,
                                                      .unit = unit,
                                                      .help = help,
                                                      .labels = labels,
                                                      .ticks_per_unit = ticks_per_unit,
                                                      .shape = telemetry::DistributionShape::two_sided,
                                                      .defined_at = where})) {}

Interval::Interval(Telemetry& telemetry, std::string_view name, std::string_view help, const Labels& labels,
                   std::source_location where)
    : cell_(register_instrument(telemetry.segment(), {.kind = wire::InstrumentKind::distribution,
                                                      .name = name,
                                                      .unit = "seconds",
                                                      .help = help,
                                                      .labels = labels,
                                                      .ticks_per_unit = 1e9,
                                                      .shape = telemetry::DistributionShape::interval,
                                                      .defined_at = where})) {}

void Interval::tick_at(std::uint64_t now) noexcept {
    detail::Word* last = detail::process_word(cell_.head_offset + sizeof(detail::DistributionHead));
    if (!last) return;
    const std::uint64_t before = last->exchange(now, std::memory_order_relaxed);
    if (before != 0) detail::record(cell_, detail::section_nanoseconds(before, now));
}

}  // namespace signalbox
