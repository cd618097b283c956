#include "agent/service/event_log.hpp"

#include <algorithm>
#include <utility>

namespace signalbox::service {

EventLog::EventLog(const telemetry::SegmentView& view)
    : view_(view), next_seat_(view.geometry().seat_count) {}

std::uint64_t EventLog::read(std::vector<Found>& found) {
    std::vector<telemetry::RawEvent> raw;
    std::uint64_t lost = view_.read_group_events(next_group_, raw);
    const auto take = [&](std::uint32_t slot) {
        for (telemetry::RawEvent& event : raw)
            found.push_back({std::move(event), slot});
        raw.clear();
    };
    take(wire::Event::kGroup);
    for (unsigned seat = 0; seat < next_seat_.size(); ++seat) {
        lost += view_.read_seat_events(seat, next_seat_[seat], raw);
        const bool arbiter = seat + 1 == next_seat_.size();
        take(arbiter ? wire::Event::kGroup : seat / 2);
    }
    return lost;
}

void EventLog::note_faults(std::vector<Found>& found) {
    const std::uint64_t now = view_.now();
    if (now < faults_due_) return;
    faults_due_ = now + kFaultPeriodNs;
    for (telemetry::Fault& fault : find_faults(view_)) {
        if (!reported_.emplace(fault.where, fault.index).second) continue;
        telemetry::RawEvent event;
        event.monotonic_ns = now;
        event.severity = wire::Severity::error;
        event.name = "segment_damaged";
        event.text = "Left out of all figures: " + fault.text + ".";
        found.push_back({std::move(event), wire::Event::kGroup});
    }
}

wire::Events EventLog::poll() {
    std::vector<Found> found;
    wire::Events fresh;
    fresh.lost = read(found);
    note_faults(found);
    lost_ += fresh.lost;
    std::stable_sort(found.begin(), found.end(),
                     [](const Found& a, const Found& b) { return a.raw.monotonic_ns < b.raw.monotonic_ns; });
    fresh.events.reserve(found.size());
    for (Found& event : found) {
        telemetry::RawEvent& raw = event.raw;
        fresh.events.push_back(
            {.sequence = ++sequence_,
             .time = view_.wall_time(raw.monotonic_ns),
             .severity = raw.severity,
             .slot = event.slot,
             .generation = raw.generation,
             .pid = raw.pid,
             .name = std::move(raw.name),
             .text = std::move(raw.text),
             .kind = raw.kind,
             .duration = wire::nanoseconds(std::min<std::uint64_t>(raw.duration_ns, INT64_MAX)),
             .fields = std::move(raw.fields),
             .cut = raw.cut});
    }
    retained_.insert(retained_.end(), fresh.events.begin(), fresh.events.end());
    while (retained_.size() > kRetained)
        retained_.pop_front();
    return fresh;
}

std::vector<wire::Event> EventLog::since(wire::WallTime instant, std::size_t least) const {
    std::vector<wire::Event> events;
    const std::size_t certain = retained_.size() - std::min(least, retained_.size());
    for (std::size_t i = 0; i < retained_.size(); ++i)
        if (i >= certain || retained_[i].time > instant) events.push_back(retained_[i]);
    return events;
}

}  // namespace signalbox::service
