// The words for what messages carry as numbers; the same in every program, page and JSON document.
#pragma once

#include <string_view>

#include "common/wire/messages.hpp"

namespace signalbox::wire {

/// "starting", "ready", "draining", "stalled", "dead"
std::string_view state_name(WorkerState state);
/// "counter", "gauge", "distribution", "distinct", "heavy_hitters"
std::string_view kind_name(InstrumentKind kind);
/// "sum", "max"
std::string_view aggregation_name(Aggregation aggregation);

}  // namespace signalbox::wire
