#include "agent/inspect/json.hpp"

#include "agent/telemetry/json.hpp"
#include "common/wire/names.hpp"
#include "common/wire/readable.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::inspect {
namespace {

using json = nlohmann::ordered_json;
using sketch::ExponentialHistogram;
using std::chrono::nanoseconds;
using wire::seconds;

json or_null(std::optional<double> value) {
    return value ? json(*value) : json();
}

json rate(double count, nanoseconds time) {
    return time.count() > 0 ? json(count / seconds(time)) : json();
}

void add_distribution(json& object, const ExponentialHistogram& histogram, nanoseconds time) {
    object["count"] = histogram.count();
    object["rate_per_second"] = rate(static_cast<double>(histogram.count()), time);
    object["sum"] = histogram.sum();
    object["mean"] = or_null(histogram.mean());
    object["min"] = or_null(histogram.min());
    object["max"] = or_null(histogram.max());
    object["p50"] = or_null(histogram.quantile(0.5));
    object["p90"] = or_null(histogram.quantile(0.9));
    object["p99"] = or_null(histogram.quantile(0.99));
    object["p999"] = or_null(histogram.quantile(0.999));
    object["relative_error"] = histogram.relative_error();
    const sketch::Moments moments = histogram.moments();
    object["standard_deviation"] = or_null(moments.standard_deviation());
    object["skewness"] = or_null(moments.skewness());
    object["kurtosis"] = or_null(moments.kurtosis());
    object["zeros"] = histogram.zeros();
    object["underflow"] = histogram.underflow();
    object["overflow"] = histogram.overflow();
    object["nans"] = histogram.nans();
    object["infinities"] = histogram.positive_infinities() + histogram.negative_infinities();
}

void add_recent(json& object, const telemetry::Recent& recent, const Report& report) {
    const auto time = [&](std::optional<std::uint64_t> at) {
        return at ? json(wire::time_text(report.wall_time(*at))) : json();
    };
    object["min_time"] = time(recent.min_monotonic_ns);
    object["max_time"] = time(recent.max_monotonic_ns);
    json samples = json::array();
    for (const telemetry::TimedSample& sample : recent.samples)
        samples.push_back(
            {{"time", wire::time_text(report.wall_time(sample.monotonic_ns))}, {"value", sample.value}});
    object["last_samples"] = std::move(samples);
    const auto averages = recent.averages();
    object["exponential_averages"] = averages ? json(*averages) : json();
}

void add_distinct(json& object, const wire::DistinctCount& count) {
    object["ever"] = count.ever;
    object["last_hour"] = count.last_hour;
    object["last_minute"] = count.last_minute;
    object["relative_standard_error"] = count.relative_standard_error;
}

void add_top_keys(json& object, const wire::TopKeys& keys) {
    json entries = json::array();
    for (const wire::TopKeys::Entry& entry : keys.entries)
        entries.push_back({{"key", wire::to_utf8(entry.key)},
                           {"truncated", entry.truncated},
                           {"count", entry.count},
                           {"error", entry.error}});
    object["entries"] = std::move(entries);
    object["total"] = keys.total;
    object["missed"] = keys.missed;
}

/// With times and samples of distributions if they are those of the group.
json figures_json(const std::vector<Figure>& figures, nanoseconds time, const Report* group = nullptr) {
    json list = json::array();
    for (const Figure& figure : figures) {
        json labels = json::object();
        for (const auto& [name, value] : figure.instrument->labels)
            labels[wire::to_utf8(name)] = wire::to_utf8(value);
        json object = {{"name", wire::to_utf8(figure.instrument->name)},
                       {"kind", wire::kind_name(figure.instrument->kind)},
                       {"unit", wire::to_utf8(figure.instrument->unit)},
                       {"labels", std::move(labels)}};
        if (const auto* total = std::get_if<std::uint64_t>(&figure.value)) {
            object["total"] = *total;
            object["rate_per_second"] = rate(static_cast<double>(*total), time);
        } else if (const auto* histogram = std::get_if<ExponentialHistogram>(&figure.value)) {
            add_distribution(object, *histogram, time);
            if (group) add_recent(object, figure.recent, *group);
        } else if (const auto* distinct = std::get_if<wire::DistinctCount>(&figure.value)) {
            add_distinct(object, *distinct);
        } else if (const auto* keys = std::get_if<wire::TopKeys>(&figure.value)) {
            add_top_keys(object, *keys);
        } else {
            const auto* gauge = std::get_if<wire::GaugeValue>(&figure.value);
            object["value"] = gauge ? json(gauge->value) : json();
        }
        list.push_back(std::move(object));
    }
    return list;
}

json frame_json(const FrameReport& frame) {
    json object = {{"text", wire::to_utf8(frame_text(frame))},
                   {"address", frame.address},
                   {"module", wire::to_utf8(frame.module)},
                   {"offset", frame.offset},
                   {"function", nullptr},
                   {"source", nullptr},
                   {"line", nullptr}};
    if (!frame.symbol) return object;
    object["function"] = wire::to_utf8(frame.symbol->function);
    if (frame.symbol->source.empty()) return object;
    object["source"] = wire::to_utf8(frame.symbol->source);
    object["line"] = frame.symbol->line;
    return object;
}

json crashes_json(const Report& report) {
    json list = json::array();
    for (const CrashReport& shown : report.crashes) {
        const telemetry::CrashInfo& crash = shown.crash;
        json stack = json::array();
        for (const FrameReport& frame : shown.frames)
            stack.push_back(frame_json(frame));
        list.push_back({{"time", wire::time_text(shown.time)},
                        {"seconds_before_end", seconds(shown.before_end)},
                        {"slot", crash.slot},
                        {"generation", crash.generation},
                        {"pid", crash.pid},
                        {"tid", crash.tid},
                        {"signal", telemetry::signal_name(crash.signal)},
                        {"code", crash.code},
                        {"address", crash.address},
                        {"activity", wire::to_utf8(crash.activity)},
                        {"activity_age_seconds", seconds(shown.activity_age)},
                        {"stack", std::move(stack)}});
    }
    return list;
}

json worker_json(const WorkerInfo& info, wire::WallTime end) {
    json object = telemetry::worker_json(info.state);
    object["alive"] = info.alive;
    object["connection_list"] = telemetry::connections_json(info.connections.shown);
    object["connections_unseen"] = info.connections.unseen;
    if (!info.figures.empty()) object["figures"] = figures_json(info.figures, end - info.state.started);
    return object;
}

json listeners_json(const Report& report) {
    json list = json::array();
    for (const telemetry::ListenerInfo& listener : report.listeners)
        list.push_back({{"index", listener.index},
                        {"protocol", wire::to_utf8(listener.protocol)},
                        {"address", wire::to_utf8(listener.address)},
                        {"port", listener.port},
                        {"backlog_limit", listener.backlog_limit}});
    return list;
}

std::string_view kind_of(const telemetry::Setting& setting) {
    switch (setting.kind) {
        case telemetry::SettingKind::fact:
            break;
        case telemetry::SettingKind::setting:
            return "setting";
        case telemetry::SettingKind::tunable:
            return "tunable";
    }
    return "fact";
}

json settings_json(const Report& report) {
    json list = json::array();
    for (const telemetry::Setting& setting : report.settings)
        list.push_back({{"name", wire::to_utf8(setting.name)},
                        {"kind", kind_of(setting)},
                        {"value", setting.value ? json(wire::to_utf8(setting.value->text)) : json()},
                        {"origin", setting.value ? json(wire::to_utf8(setting.value->origin)) : json()}});
    return list;
}

json events_json(const Report& report) {
    json list = json::array();
    for (const EventInfo& info : report.events)
        list.push_back({{"time", wire::time_text(info.time)},
                        {"seconds_before_end", seconds(info.before_end)},
                        {"severity", wire::severity_name(info.event.severity)},
                        {"slot", info.slot ? json(*info.slot) : json()},
                        {"pid", info.event.pid},
                        {"generation", info.event.generation},
                        {"name", wire::to_utf8(info.event.name)},
                        {"text", wire::to_utf8(info.event.text)}});
    return list;
}

}  // namespace

json to_json(const Report& report) {
    json workers = json::array();
    for (const WorkerInfo& worker : report.workers)
        workers.push_back(worker_json(worker, report.end));
    json faults = json::array();
    for (const telemetry::Fault& fault : report.faults)
        faults.push_back(fault.text);
    return {
        {"group", wire::to_utf8(report.group)},
        {"boot_id", report.boot_id},
        {"layout_version", report.layout_version},
        {"alive", report.alive},
        {"created", wire::time_text(report.created)},
        {"end", wire::time_text(report.end)},
        {"age_seconds", seconds(report.age())},
        {"target_workers", report.state.target_workers},
        {"degraded", report.state.degraded},
        {"arbiter", {{"pid", report.arbiter.pid}, {"alive", report.arbiter.alive}}},
        {"agent",
         {{"pid", report.agent.pid}, {"alive", report.agent.alive}, {"starts", report.state.agent_starts}}},
        {"listeners", listeners_json(report)},
        {"workers", std::move(workers)},
        {"figures", figures_json(report.figures, report.age(), &report)},
        {"settings", settings_json(report)},
        {"crashes", crashes_json(report)},
        {"events", events_json(report)},
        {"faults", std::move(faults)}};
}

}  // namespace signalbox::inspect
