#include "agent/telemetry/json.hpp"

#include "common/wire/names.hpp"
#include "common/wire/readable.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::telemetry {
namespace {

using json = nlohmann::ordered_json;

using wire::seconds;

}  // namespace

json worker_json(const wire::Worker& worker) {
    json queues = json::array();
    for (const wire::AcceptQueue& queue : worker.queues)
        queues.push_back({{"listener", queue.listener},
                          {"depth", queue.depth},
                          {"capacity", queue.capacity},
                          {"oldest_seconds", seconds(queue.oldest)},
                          {"accepted", queue.accepted},
                          {"shed", queue.shed}});
    return {{"slot", worker.slot},
            {"generation", worker.generation},
            {"pid", worker.pid},
            {"state", wire::state_name(worker.state)},
            {"started", wire::time_text(worker.started)},
            {"heartbeat_age_seconds", seconds(worker.heartbeat_age)},
            {"requests", worker.requests},
            {"connections", worker.connections},
            {"open_files", worker.open_files},
            {"resident_bytes", worker.resident_bytes},
            {"activity", wire::to_utf8(worker.activity)},
            {"activity_age_seconds", seconds(worker.activity_age)},
            {"queues", std::move(queues)}};
}

json connections_json(const std::vector<ConnectionInfo>& connections) {
    json list = json::array();
    for (const ConnectionInfo& connection : connections)
        list.push_back({{"state", state_name(connection.state)},
                        {"state_seconds", static_cast<double>(connection.age_ns) / 1e9},
                        {"peer", wire::to_utf8(connection.peer)},
                        {"requests", connection.requests},
                        {"received_bytes", connection.received_bytes},
                        {"sent_bytes", connection.sent_bytes},
                        {"last_request", wire::to_utf8(connection.request)}});
    return list;
}

}  // namespace signalbox::telemetry
