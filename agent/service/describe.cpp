#include "agent/service/describe.hpp"

#include <algorithm>

#include "agent/service/backlog.hpp"
#include "agent/telemetry/json.hpp"
#include "agent/telemetry/setting_values.hpp"
#include "common/wire/event_json.hpp"
#include "common/wire/names.hpp"
#include "common/wire/readable.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::service {
using nlohmann::json;

namespace {

std::string_view kind_name(telemetry::SettingKind kind) {
    switch (kind) {
        case telemetry::SettingKind::setting:
            return "setting";
        case telemetry::SettingKind::tunable:
            return "tunable";
        case telemetry::SettingKind::fact:
            break;
    }
    return "fact";
}

json setting_json(const telemetry::Setting& setting) {
    json members = {{"name", wire::to_utf8(setting.name)},
                    {"kind", kind_name(setting.kind)},
                    {"type", telemetry::type_name(setting.type)},
                    {"value", nullptr},
                    {"origin", nullptr},
                    {"changes", nullptr},
                    {"defined_at", wire::to_utf8(setting.defined_at)}};
    if (setting.value) {
        members["value"] = wire::to_utf8(setting.value->text);
        members["origin"] = wire::to_utf8(setting.value->origin);
        members["changes"] = setting.value->version;
    }
    if (setting.kind != telemetry::SettingKind::tunable) return members;
    members["min"] = telemetry::format_value(setting.type, setting.min);
    members["max"] = telemetry::format_value(setting.type, setting.max);
    members["unit"] = wire::to_utf8(setting.unit);
    members["help"] = wire::to_utf8(setting.help);
    members["role"] = setting.role == Role::viewer ? "viewer" : "operator";
    return members;
}

}  // namespace

json describe_workers(const telemetry::SegmentView& view) {
    json workers = json::array();
    for (const wire::Worker& worker : view.workers())
        workers.push_back(json(telemetry::worker_json(worker)));
    const telemetry::GroupInfo group = view.group();
    return {{"workers", std::move(workers)}, {"target", group.target_workers}, {"degraded", group.degraded}};
}

std::optional<json> describe_connections(const telemetry::SegmentView& view, std::uint64_t generation) {
    for (unsigned seat = 0; seat + 1 < view.geometry().seat_count; ++seat) {
        const telemetry::Seat& record = view.seat(seat);
        if (record.pid.load(std::memory_order_acquire) == 0 ||
            record.generation.load(std::memory_order_relaxed) != generation)
            continue;
        const telemetry::ConnectionList list = view.connections(seat);
        return json{{"slot", seat / 2},
                    {"generation", generation},
                    {"connections", json(telemetry::connections_json(list.shown))},
                    {"unseen", list.unseen}};
    }
    return {};
}

json describe_listeners(const telemetry::SegmentView& view) {
    json listeners = json::array();
    for (const telemetry::ListenerInfo& listener : view.listeners()) {
        const auto backlog = kernel_backlog(listener);
        listeners.push_back({{"index", listener.index},
                             {"address", wire::to_utf8(listener.address)},
                             {"protocol", wire::to_utf8(listener.protocol)},
                             {"backlog", backlog ? json(*backlog) : json()},
                             {"backlog_limit", listener.backlog_limit}});
    }
    return {{"listeners", std::move(listeners)}};
}

json describe_instruments(const Catalogue& catalogue) {
    json instruments = json::array();
    for (const auto& [index, instrument] : catalogue) {
        json labels = json::object();
        for (const auto& [name, value] : instrument.labels)
            labels[wire::to_utf8(name)] = wire::to_utf8(value);
        instruments.push_back({{"index", index},
                               {"kind", wire::kind_name(instrument.kind)},
                               {"aggregation", wire::aggregation_name(instrument.aggregation)},
                               {"name", wire::to_utf8(instrument.name)},
                               {"unit", wire::to_utf8(instrument.unit)},
                               {"help", wire::to_utf8(instrument.help)},
                               {"labels", std::move(labels)}});
    }
    return {{"instruments", std::move(instruments)}};
}

json describe_settings(const telemetry::SegmentView& view) {
    json settings = json::array();
    for (const telemetry::Setting& setting : view.settings())
        settings.push_back(setting_json(setting));
    return {{"settings", std::move(settings)}};
}

json describe_events(const EventLog& log, std::size_t limit) {
    json events = json::array();
    const auto& retained = log.retained();
    for (std::size_t i = retained.size() - std::min(limit, retained.size()); i < retained.size(); ++i)
        events.push_back(json(wire::event_json(retained[i])));
    return {{"events", std::move(events)}, {"lost", log.lost()}};
}

}  // namespace signalbox::service
