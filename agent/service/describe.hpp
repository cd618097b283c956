// The facts as JSON, for RPC results.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "agent/service/event_log.hpp"
#include "agent/service/tick_shape.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::service {

/// Results of the RPC methods of the same names.
nlohmann::json describe_workers(const telemetry::SegmentView& view);
/// Of the worker of that generation; none if there is no such worker.
std::optional<nlohmann::json> describe_connections(const telemetry::SegmentView& view,
                                                   std::uint64_t generation);
nlohmann::json describe_listeners(const telemetry::SegmentView& view);
nlohmann::json describe_instruments(const Catalogue& catalogue);
nlohmann::json describe_settings(const telemetry::SegmentView& view);
nlohmann::json describe_events(const EventLog& log, std::size_t limit);

}  // namespace signalbox::service
