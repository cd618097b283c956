#include "agent/inspect/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "common/text/words.hpp"
#include "common/wire/names.hpp"

namespace signalbox::inspect {
namespace {

using sketch::ExponentialHistogram;
using std::chrono::nanoseconds;
using text::Table;
using wire::seconds;
constexpr auto kRight = Table::Align::right;
constexpr std::size_t kColumns = 100;

std::string in_words(nanoseconds length) {
    return text::duration_in_words(length);
}

std::string ago(wire::WallTime time) {
    const auto age = std::chrono::system_clock::now() - time;
    return age.count() < 0 ? "by a clock ahead of this one" : in_words(age) + " ago";
}

std::string plain_number(double value) {
    return std::abs(value) >= 1000 && std::abs(value) < 1e8 ? fmt::format("{:.0f}", value)
                                                            : fmt::format("{:.4g}", value);
}

/// A value in the instrument's unit.
std::string value_text(double value, const std::string& unit) {
    constexpr double kLongest = 9e9;  // seconds that fit
    if (unit == "seconds" && std::abs(value) < kLongest)
        return in_words(nanoseconds(static_cast<std::int64_t>(value * 1e9)));
    if (unit == "bytes" && value >= 0) return text::bytes_in_words(value);
    return plain_number(value);
}

std::string rate_text(double count, nanoseconds time) {
    return time.count() > 0 ? plain_number(count / seconds(time)) : "-";
}

std::string name_of(const wire::Instrument& instrument) {
    std::string labels;
    for (const auto& [label, value] : instrument.labels)
        labels +=
            fmt::format("{}{}=\"{}\"", labels.empty() ? "" : ",", text::escaped(label), text::escaped(value));
    return text::escaped(instrument.name) + (labels.empty() ? "" : "{" + labels + "}");
}

std::string process_text(const ProcessInfo& process) {
    if (process.pid == 0) return "none";
    return fmt::format("pid {} ({})", process.pid, process.alive ? "alive" : "gone");
}

void add_heading(std::string& out, const Report& report) {
    const std::string name = text::escaped(report.group);
    if (report.alive)
        out += fmt::format("{}: this group is alive; as of {}\n", name, wire::time_text(report.end));
    else
        out += fmt::format("{}: this group is dead; last sign of life {}, {}\n", name,
                           wire::time_text(report.end), ago(report.end));
    out += fmt::format("  created   {}, {} before that; boot id {}\n", wire::time_text(report.created),
                       in_words(report.age()), report.boot_id);
    out += fmt::format("  arbiter   {}; agent {}, started {} times; layout version {}\n",
                       process_text(report.arbiter), process_text(report.agent), report.state.agent_starts,
                       report.layout_version);
    out += fmt::format("  workers   {}, {} wanted{}\n", report.workers.size(), report.state.target_workers,
                       report.state.degraded ? "; degraded: a crash loop holds replacements back" : "");
    if (report.faults.empty()) return;
    out += "\nDAMAGED, and left out below\n";
    for (const telemetry::Fault& fault : report.faults)
        out += "  " + text::fitted(fault.text, kColumns - 2) + '\n';
}

void add_listeners(std::string& out, const Report& report) {
    if (report.listeners.empty()) return;
    Table table({{"LISTENER", kRight}, {"PROTOCOL"}, {"ADDRESS"}, {"BACKLOG LIMIT", kRight}});
    for (const telemetry::ListenerInfo& listener : report.listeners)
        table.add({std::to_string(listener.index), text::escaped(listener.protocol),
                   text::fitted(text::escaped(listener.address), 60),
                   std::to_string(listener.backlog_limit)});
    out += '\n' + table.to_string();
}

std::string queues_text(const wire::Worker& worker) {
    std::string text;
    for (const wire::AcceptQueue& queue : worker.queues)
        text += fmt::format("{}{}/{}", text.empty() ? "" : " ", queue.depth, queue.capacity);
    return text.empty() ? "-" : text;
}

void add_workers(std::string& out, const Report& report) {
    if (report.workers.empty()) return;
    Table table({{"SLOT", kRight},
                 {"GENERATION", kRight},
                 {"PID", kRight},
                 {"PROCESS"},
                 {"STATE"},
                 {"BEAT", kRight},
                 {"REQUESTS", kRight},
                 {"CONNS", kRight},
                 {"MEMORY", kRight},
                 {"FILES", kRight},
                 {"QUEUES"}});
    for (const WorkerInfo& info : report.workers) {
        const wire::Worker& w = info.state;
        table.add({std::to_string(w.slot), std::to_string(w.generation), std::to_string(w.pid),
                   info.alive ? "alive" : "gone", std::string(wire::state_name(w.state)),
                   in_words(w.heartbeat_age), std::to_string(w.requests), std::to_string(w.connections),
                   text::bytes_in_words(static_cast<double>(w.resident_bytes)), std::to_string(w.open_files),
                   text::fitted(queues_text(w), 20)});
    }
    out += '\n' + table.to_string();
    for (const WorkerInfo& info : report.workers)
        if (const wire::Worker& w = info.state; !w.activity.empty())
            out += text::folded(fmt::format("  slot {} is at, for {}: {}", w.slot, in_words(w.activity_age),
                                            text::escaped(w.activity)),
                                kColumns, 6);
}

/// Those that are at something first; of each kind the longest.
void add_connections(std::string& out, const Report& report) {
    constexpr std::size_t kMost = 10;
    for (const WorkerInfo& info : report.workers) {
        std::vector<telemetry::ConnectionInfo> shown = info.connections.shown;
        if (shown.empty()) continue;
        const std::size_t most = std::min(kMost, shown.size());
        std::partial_sort(shown.begin(), shown.begin() + static_cast<std::ptrdiff_t>(most), shown.end(),
                          [](const telemetry::ConnectionInfo& a, const telemetry::ConnectionInfo& b) {
                              const bool a_idle = a.state == telemetry::ConnectionState::idle;
                              const bool b_idle = b.state == telemetry::ConnectionState::idle;
                              return a_idle != b_idle ? b_idle : a.age_ns > b.age_ns;
                          });
        Table table({{"PEER"}, {"STATE"}, {"FOR", kRight}, {"REQUESTS", kRight}, {"LAST REQUEST"}});
        for (std::size_t i = 0; i < most; ++i)
            table.add({text::fitted(text::escaped(shown[i].peer), 32),
                       std::string(telemetry::state_name(shown[i].state)),
                       in_words(nanoseconds(
                           static_cast<std::int64_t>(std::min<std::uint64_t>(shown[i].age_ns, INT64_MAX)))),
                       std::to_string(shown[i].requests), text::fitted(text::escaped(shown[i].request), 40)});
        const std::size_t more = shown.size() - most + info.connections.unseen;
        out += fmt::format("\nCONNECTIONS of slot {}, generation {}{}\n{}", info.state.slot,
                           info.state.generation, more > 0 ? fmt::format(", and {} more", more) : "",
                           table.to_string());
    }
}

void add_crashes(std::string& out, const Report& report) {
    for (const CrashReport& shown : report.crashes) {
        const telemetry::CrashInfo& crash = shown.crash;
        out += fmt::format("\nCRASH of slot {}, generation {}, pid {}: {}", crash.slot, crash.generation,
                           crash.pid, telemetry::signal_name(crash.signal));
        if (crash.code > 0) out += fmt::format(" at {:#x}", crash.address);
        out += fmt::format("\n  {}, {} before the end\n", wire::time_text(shown.time),
                           in_words(shown.before_end));
        if (!crash.activity.empty())
            out += text::folded(
                fmt::format("  after {} of: {}", in_words(shown.activity_age), text::escaped(crash.activity)),
                kColumns, 6);
        for (std::size_t i = 0; i < shown.frames.size(); ++i)
            out += text::folded(fmt::format("  #{:<2} {}", i, text::escaped(frame_text(shown.frames[i]))),
                                kColumns, 6);
    }
}

void add_counters(std::string& out, const std::vector<Figure>& figures, nanoseconds time) {
    Table table({{"COUNTER"}, {"TOTAL", kRight}, {"PER SECOND", kRight}});
    bool any = false;
    for (const Figure& figure : figures)
        if (const auto* total = std::get_if<std::uint64_t>(&figure.value)) {
            table.add({text::fitted(name_of(*figure.instrument), 64), std::to_string(*total),
                       rate_text(static_cast<double>(*total), time)});
            any = true;
        }
    if (any) out += '\n' + table.to_string();
}

void add_gauges(std::string& out, const std::vector<Figure>& figures) {
    Table table({{"GAUGE"}, {"VALUE", kRight}});
    bool any = false;
    for (const Figure& figure : figures) {
        if (figure.instrument->kind != wire::InstrumentKind::gauge) continue;
        const auto* gauge = std::get_if<wire::GaugeValue>(&figure.value);
        table.add({text::fitted(name_of(*figure.instrument), 80),
                   gauge ? value_text(gauge->value, figure.instrument->unit) : "-"});
        any = true;
    }
    if (any) out += '\n' + table.to_string();
}

/// The name on a line of its own, the figures below it.
void add_distribution(std::string& out, const wire::Instrument& instrument,
                      const ExponentialHistogram& histogram, nanoseconds time) {
    out += text::fitted(name_of(instrument), kColumns) + '\n';
    const auto cell = [&](std::optional<double> value) {
        return value ? value_text(*value, instrument.unit) : "-";
    };
    out += fmt::format("{:>13} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n", histogram.count(),
                       rate_text(static_cast<double>(histogram.count()), time), cell(histogram.mean()),
                       cell(histogram.quantile(0.5)), cell(histogram.quantile(0.9)),
                       cell(histogram.quantile(0.99)), cell(histogram.quantile(0.999)), cell(histogram.min()),
                       cell(histogram.max()));
}

void add_distributions(std::string& out, const std::vector<Figure>& figures, nanoseconds time) {
    bool any = false;
    for (const Figure& figure : figures) {
        const auto* histogram = std::get_if<ExponentialHistogram>(&figure.value);
        if (!histogram) continue;
        if (!any)
            out +=
                fmt::format("\nDISTRIBUTION\n{:>13} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n",
                            "COUNT", "PER SEC", "MEAN", "P50", "P90", "P99", "P99.9", "MIN", "MAX");
        any = true;
        add_distribution(out, *figure.instrument, *histogram, time);
    }
}

void add_distincts(std::string& out, const std::vector<Figure>& figures) {
    Table table(
        {{"DIFFERENT"}, {"EVER", kRight}, {"LAST HOUR", kRight}, {"LAST MINUTE", kRight}, {"ERROR", kRight}});
    bool any = false;
    for (const Figure& figure : figures)
        if (const auto* count = std::get_if<wire::DistinctCount>(&figure.value)) {
            table.add({text::fitted(name_of(*figure.instrument), 48), plain_number(count->ever),
                       plain_number(count->last_hour), plain_number(count->last_minute),
                       fmt::format("±{:.1f} %", 100 * count->relative_standard_error)});
            any = true;
        }
    if (any) out += '\n' + table.to_string();
}

void add_top_keys(std::string& out, const std::vector<Figure>& figures) {
    constexpr std::size_t kMost = 10;
    for (const Figure& figure : figures) {
        const auto* keys = std::get_if<wire::TopKeys>(&figure.value);
        if (!keys) continue;
        out += fmt::format("\nMOST FREQUENT of {}, {} in all\n",
                           text::fitted(name_of(*figure.instrument), 60), keys->total);
        for (std::size_t i = 0; i < std::min(kMost, keys->entries.size()); ++i) {
            const wire::TopKeys::Entry& entry = keys->entries[i];
            out += fmt::format("{:>13} -{:<9} {}{}\n", entry.count, entry.error, text::escaped(entry.key),
                               entry.truncated ? "…" : "");
        }
    }
}

void add_figures(std::string& out, const std::vector<Figure>& figures, nanoseconds time) {
    add_counters(out, figures, time);
    add_gauges(out, figures);
    add_distributions(out, figures, time);
    add_distincts(out, figures);
    add_top_keys(out, figures);
}

void add_worker_figures(std::string& out, const Report& report) {
    for (const WorkerInfo& info : report.workers) {
        if (info.figures.empty()) continue;
        out += fmt::format("\n== slot {}, generation {}, pid {} ==\n", info.state.slot, info.state.generation,
                           info.state.pid);
        add_figures(out, info.figures, report.end - info.state.started);
    }
}

/// The environment and the like are for --json: what was chosen matters here.
void add_settings(std::string& out, const Report& report) {
    Table table({{"SETTING"}, {"VALUE"}, {"FROM"}});
    bool any = false;
    for (const telemetry::Setting& setting : report.settings) {
        if (setting.kind == telemetry::SettingKind::fact || !setting.value) continue;
        table.add({text::fitted(text::escaped(setting.name), 32),
                   text::fitted(text::escaped(setting.value->text), 40),
                   text::fitted(text::escaped(setting.value->origin), 22)});
        any = true;
    }
    if (any) out += '\n' + table.to_string();
}

void add_events(std::string& out, const Report& report) {
    if (report.events.empty()) return;
    out += "\nEVENTS, with the time before the end\n";
    for (const EventInfo& info : report.events) {
        const std::string who = info.slot ? fmt::format("slot {}", *info.slot) : std::string("arbiter");
        const std::string process = info.event.pid ? fmt::format("pid {}", info.event.pid) : std::string();
        out += text::folded(fmt::format("{} {:>10}  {:<8} {:<11} {:<7} {}: {}", wire::time_text(info.time),
                                        '-' + in_words(info.before_end), who, process,
                                        wire::severity_name(info.event.severity),
                                        text::escaped(info.event.name), text::escaped(info.event.text)),
                            kColumns, 6);
    }
}

/// Columns are as wide as sound figures need; a damaged one must not wrap the others.
std::string cut_to_columns(std::string_view lines) {
    std::string cut;
    while (!lines.empty()) {
        const std::size_t end = lines.find('\n');
        cut += text::fitted(lines.substr(0, end), kColumns) + '\n';
        lines.remove_prefix(end + 1);
    }
    return cut;
}

}  // namespace

std::string to_text(const Report& report) {
    std::string out;
    add_heading(out, report);
    add_listeners(out, report);
    add_workers(out, report);
    add_crashes(out, report);
    add_connections(out, report);
    add_figures(out, report.figures, report.age());
    add_worker_figures(out, report);
    add_settings(out, report);
    add_events(out, report);
    return cut_to_columns(out);
}

}  // namespace signalbox::inspect
