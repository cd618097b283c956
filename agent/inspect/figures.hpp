// Instruments with what they add up to, for the group and for each worker.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "agent/telemetry/recent.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::inspect {

/// An instrument's value since the group's creation. A gauge has none where no worker lives; different and
/// most frequent elements are known of the whole group only.
struct Figure {
    const wire::Instrument* instrument;
    std::variant<std::monostate, std::uint64_t, wire::GaugeValue, sketch::ExponentialHistogram,
                 wire::DistinctCount, wire::TopKeys>
        value;
    telemetry::Recent recent{};  ///< of a distribution of the whole group
};

/// Everything together: counters added, gauges by their aggregation, distributions merged. One for each instrument,
/// which must outlive it, in their order.
std::vector<Figure> group_figures(const std::vector<wire::Instrument>& instruments, const wire::Tick& totals);

/// Those of one worker's series.
std::vector<Figure> worker_figures(const std::vector<wire::Instrument>& instruments,
                                   const wire::Series& series);

}  // namespace signalbox::inspect
