// What the segment says of workers and connections, as JSON: for `signalbox-inspect --json` and the RPC.
#pragma once

#include <nlohmann/json.hpp>

#include "agent/telemetry/connections.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::telemetry {

/// What is not UTF-8 is replaced, so that the document can always be written.
nlohmann::ordered_json worker_json(const wire::Worker& worker);
nlohmann::ordered_json connections_json(const std::vector<ConnectionInfo>& connections);

}  // namespace signalbox::telemetry
