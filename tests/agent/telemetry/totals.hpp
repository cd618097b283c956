// Sums over ticks, for tests: what a client that adds up every series arrives at.
#pragma once

#include <map>
#include <string>

#include "agent/telemetry/collector.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::tests {

class Totals {
public:
    explicit Totals(const telemetry::SegmentView& view) : collector_(view) {}

    /// One more tick of the collector, added up. Instruments with labels are called `name{a="b",c=""}`.
    wire::Tick collect() {
        wire::Tick tick = collector_.collect();
        for (const auto& instrument : collector_.new_instruments())
            names_[instrument.index] = full_name(instrument);
        gauges_.clear();
        for (const auto& series : tick.series)
            for (const auto& sample : series.samples)
                add(sample);
        return tick;
    }
    std::uint64_t counter(const std::string& name) const { return find(counters_, name); }
    sketch::ExponentialHistogram distribution(const std::string& name) const {
        const auto found = distributions_.find(name);
        return found == distributions_.end() ? sketch::ExponentialHistogram() : found->second;
    }
    /// Over all processes that there were at the last tick.
    double gauge(const std::string& name) const { return gauges_.at(name); }
    bool has_gauge(const std::string& name) const { return gauges_.contains(name); }
    /// Since the group's start.
    double distinct(const std::string& name) const { return distincts_.at(name); }
    std::size_t instruments() const { return names_.size(); }
    telemetry::Collector& collector() { return collector_; }

private:
    static std::string full_name(const wire::Instrument& instrument) {
        std::string labels;
        for (const auto& [label, value] : instrument.labels)
            labels += (labels.empty() ? "" : ",") + label + "=\"" + value + '"';
        return labels.empty() ? instrument.name : instrument.name + '{' + labels + '}';
    }
    void add(const wire::Sample& sample) {
        const std::string& name = names_[sample.instrument];
        if (const auto* delta = std::get_if<wire::CounterDelta>(&sample.value))
            counters_[name] += delta->increase;
        if (const auto* gauge = std::get_if<wire::GaugeValue>(&sample.value)) gauges_[name] += gauge->value;
        if (const auto* count = std::get_if<wire::DistinctCount>(&sample.value))
            distincts_[name] = count->ever;
        if (const auto* change = std::get_if<sketch::ExponentialHistogram>(&sample.value))
            distributions_[name].merge(*change);
    }
    static std::uint64_t find(const std::map<std::string, std::uint64_t>& map, const std::string& name) {
        const auto found = map.find(name);
        return found == map.end() ? 0 : found->second;
    }

    telemetry::Collector collector_;
    std::map<std::uint32_t, std::string> names_;
    std::map<std::string, std::uint64_t> counters_;
    std::map<std::string, double> gauges_;
    std::map<std::string, double> distincts_;
    std::map<std::string, sketch::ExponentialHistogram> distributions_;
};

/// As the arbiter does it: this process, or a child of it, becomes generation `generation` in `seat`.
inline void occupy(Telemetry& telemetry, unsigned seat, std::uint64_t generation, std::uint32_t pid = 4242) {
    telemetry::Seat& place = *telemetry.segment().seat(seat);
    place.slot.store(seat / 2);
    place.generation.store(generation);
    place.phase.store(static_cast<std::uint32_t>(telemetry::Phase::ready));
    place.pid.store(pid);
}

}  // namespace signalbox::tests
