#include "console/ctl/commands.hpp"

#include <fmt/format.h>

#include <ctime>

#include "common/text/words.hpp"
#include "console/ctl/events.hpp"
#include "console/ctl/json_fields.hpp"

namespace signalbox::ctl {
namespace {

using nlohmann::json;
using text::Table;
using Align = Table::Align;

void print(const json& value) {
    fmt::print("{}\n", value.dump(2, ' ', false, json::error_handler_t::replace));
}

/// How long ago a time as in "2026-07-07T09:30:00Z" was, by this machine's clock.
std::string age_of(const json& object, const char* name) {
    const json& value = field(object, name);
    std::tm parts{};
    if (!value.is_string() ||
        !strptime(value.get_ref<const std::string&>().c_str(), "%Y-%m-%dT%H:%M:%S", &parts))
        return "-";
    return text::duration_in_words(
        std::chrono::seconds(std::max<std::time_t>(0, std::time(nullptr) - timegm(&parts))));
}

std::string queue_cell(const json& worker) {
    std::string cell;
    for (const json& queue : field(worker, "queues")) {
        if (!cell.empty()) cell += ", ";
        cell += number_field(queue, "depth") + "/" + number_field(queue, "capacity");
    }
    return cell.empty() ? "-" : cell;
}

std::string activity_cell(const json& worker) {
    const std::string activity = text_field(worker, "activity");
    if (activity.empty() || activity == "-") return "";
    return activity + " (" + seconds_field(worker, "activity_age_seconds") + ")";
}

std::string worker_table(const json& workers) {
    Table table({{"SLOT", Align::right},
                 {"GENERATION", Align::right},
                 {"PID", Align::right},
                 {"STATE"},
                 {"AGE", Align::right},
                 {"MEMORY", Align::right},
                 {"FILES", Align::right},
                 {"CONNECTIONS", Align::right},
                 {"REQUESTS", Align::right},
                 {"QUEUED", Align::right},
                 {"HEARTBEAT", Align::right},
                 {"ACTIVITY"}});
    for (const json& worker : workers) {
        table.add({number_field(worker, "slot"), number_field(worker, "generation"),
                   number_field(worker, "pid"), text_field(worker, "state"), age_of(worker, "started"),
                   bytes_field(worker, "resident_bytes"), number_field(worker, "open_files"),
                   number_field(worker, "connections"), number_field(worker, "requests"), queue_cell(worker),
                   seconds_field(worker, "heartbeat_age_seconds"), activity_cell(worker)});
    }
    return table.to_string();
}

std::string listener_table(const json& listeners) {
    Table table({{"LISTENER", Align::right},
                 {"ADDRESS"},
                 {"PROTOCOL"},
                 {"BACKLOG", Align::right},
                 {"LIMIT", Align::right}});
    for (const json& listener : listeners) {
        table.add({number_field(listener, "index"), text_field(listener, "address"),
                   text_field(listener, "protocol"), number_field(listener, "backlog"),
                   number_field(listener, "backlog_limit")});
    }
    return table.to_string();
}

/// "1ms to 60s", in unit and with who may change it.
std::string range_cell(const json& setting) {
    if (field(setting, "kind") != "tunable") return "";
    std::string range = field(setting, "type") == "boolean"
                            ? "true or false"
                            : text_field(setting, "min") + " to " + text_field(setting, "max");
    if (const std::string unit = text_field(setting, "unit"); !unit.empty() && unit != "-")
        range += " " + unit;
    return range;
}

std::string setting_table(const json& settings, bool all) {
    Table table({{"NAME"}, {"KIND"}, {"VALUE"}, {"FROM"}, {"MAY BE"}});
    for (const json& setting : settings) {
        if (!all && field(setting, "origin") == "environment") continue;
        table.add({text_field(setting, "name"), text_field(setting, "kind"), text_field(setting, "value"),
                   text_field(setting, "origin"), range_cell(setting)});
    }
    return table.to_string();
}

std::string connection_table(const json& connections) {
    Table table({{"PEER"},
                 {"STATE"},
                 {"FOR", Align::right},
                 {"REQUESTS", Align::right},
                 {"RECEIVED", Align::right},
                 {"SENT", Align::right},
                 {"LAST REQUEST"}});
    for (const json& connection : connections)
        table.add({text_field(connection, "peer"), text_field(connection, "state"),
                   seconds_field(connection, "state_seconds"), number_field(connection, "requests"),
                   bytes_field(connection, "received_bytes"), bytes_field(connection, "sent_bytes"),
                   text_field(connection, "last_request")});
    return table.to_string();
}

json to_json(const client::Hello& hello) {
    return {{"group", hello.group},
            {"host", hello.host},
            {"version", hello.version},
            {"boot_id", hello.boot_id},
            {"arbiter_pid", hello.arbiter_pid},
            {"agent_pid", hello.agent_pid},
            {"may_act", hello.may_act},
            {"protocol", hello.protocol}};
}

}  // namespace

void show_status(Connection& agent, bool as_json) {
    const client::Hello& hello = agent.hello();
    const json workers = agent.call("workers.list");
    const json listeners = agent.call("listeners.list");
    if (as_json) {
        print(
            {{"agent", to_json(hello)}, {"workers", workers}, {"listeners", field(listeners, "listeners")}});
        return;
    }
    int ready = 0;
    int other = 0;
    for (const json& worker : field(workers, "workers"))
        ++(field(worker, "state") == "ready" ? ready : other);
    fmt::print("{} on {}: {} of {} workers ready", text::escaped(hello.group), text::escaped(hello.host),
               ready, number_field(workers, "target"));
    if (other > 0) fmt::print(", {} in another state", other);
    if (field(workers, "degraded") == true) fmt::print("; DEGRADED: crashes hold replacements back");
    fmt::print("\nSignalbox {}, arbiter {}, agent {}; you may {}\n\n", text::escaped(hello.version),
               hello.arbiter_pid, hello.agent_pid, hello.may_act ? "watch and act" : "watch only");
    fmt::print("{}", listener_table(field(listeners, "listeners")));
}

void show_workers(Connection& agent, bool as_json) {
    const json workers = agent.call("workers.list");
    if (as_json) return print(workers);
    fmt::print("{}", worker_table(field(workers, "workers")));
}

void show_connections(Connection& agent, std::optional<std::uint32_t> slot, bool as_json) {
    const json workers = agent.call("workers.list");
    json all = json::array();
    for (const json& worker : field(workers, "workers")) {
        if (slot && field(worker, "slot") != *slot) continue;
        all.push_back(agent.call("connections", {{"generation", field(worker, "generation")}}));
    }
    if (slot && all.empty())
        throw Failure(fmt::format("slot {} has no worker; 'workers' shows the slots", *slot));
    if (as_json) return print(all);
    for (const json& worker : all) {
        const json& connections = field(worker, "connections");
        fmt::print("slot {}, generation {}: {} connections", number_field(worker, "slot"),
                   number_field(worker, "generation"), connections.size());
        if (const std::string unseen = number_field(worker, "unseen"); unseen != "0")
            fmt::print(", and {} that its table has no room for", unseen);
        fmt::print("\n{}\n", connections.empty() ? "" : connection_table(connections));
    }
}

void scale_group(Connection& agent, unsigned workers, bool as_json) {
    const json result = agent.call("group.scale", {{"workers", workers}});
    if (as_json) return print(result);
    fmt::print("from {} to {} workers: {}\n", number_field(result, "from"), number_field(result, "to"),
               text_field(result, "message"));
}

void reload_configuration(Connection& agent, bool as_json) {
    const json result = agent.call("group.reload");
    if (as_json) return print(result);
    fmt::print("{}\n", text_field(result, "message"));
}

void show_settings(Connection& agent, bool all, bool as_json) {
    const json settings = agent.call("settings");
    if (as_json) return print(settings);
    fmt::print("{}", setting_table(field(settings, "settings"), all));
}

void set_tunable(Connection& agent, const std::string& name, const std::string& value, bool as_json) {
    const json result = agent.call("set", {{"name", name}, {"value", value}});
    if (as_json) return print(result);
    fmt::print("{}\n", text_field(result, "message"));
}

void show_events(Connection& agent, int limit, bool as_json) {
    const json events = agent.call("events.list", {{"limit", limit}});
    if (as_json) return print(events);
    for (const json& event : field(events, "events"))
        fmt::print("{}\n", event_line(event));
}

void follow_events(Connection& agent, bool as_json) {
    const auto print_event = [as_json](const wire::Event& event) {
        const json fields = ctl::to_json(event);
        fmt::print("{}\n", as_json ? fields.dump() : event_line(fields));
        std::fflush(stdout);
    };
    agent.follow_events(print_event, true);
    agent.run();
}

}  // namespace signalbox::ctl
