#include "agent/service/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "agent/service/backlog.hpp"
#include "common/wire/names.hpp"
#include "common/wire/readable.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::service {
namespace {

using sketch::ExponentialHistogram;
using Out = std::back_insert_iterator<std::string>;

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>
:root { --ink: #1d2733; --soft: #5b6876; --paper: #fff; --line: #dde3ea; --good: #18794e; --warn: #9a5b00; --bad: #c22f2f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --soft: #97a4b2; --paper: #14191f; --line: #2d3742; --good: #4cc38a; --warn: #f1a10d; --bad: #ff8585; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.05rem; margin-top: 2rem; }
p, .soft { color: var(--soft); margin-top: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); } .n { text-align: right; }
td { overflow-wrap: anywhere; } .wide { overflow-x: auto; }
.ready, .info { color: var(--good); } .starting, .draining, .warning { color: var(--warn); }
.stalled, .dead, .error { color: var(--bad); font-weight: 600; }
</style>
)";

std::string seconds_text(double seconds) {
    if (seconds < 1e-3) return fmt::format("{:.0f} µs", seconds * 1e6);
    if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
    if (seconds < 120) return fmt::format("{:.3g} s", seconds);
    return fmt::format("{:.0f} min", seconds / 60);
}

std::string seconds_text(wire::nanoseconds duration) {
    return seconds_text(std::chrono::duration<double>(duration).count());
}

std::string bytes_text(double bytes) {
    constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit)
        bytes /= 1024;
    return fmt::format("{:.{}f} {}", bytes, unit == 0 || bytes >= 100 ? 0 : 1, units[unit]);
}

std::string value_text(double value, std::string_view unit) {
    if (unit == "seconds") return seconds_text(value);
    if (unit == "bytes") return bytes_text(value);
    return fmt::format("{:.4g}", value);
}

/// name{label="value"}, escaped.
std::string instrument_text(const wire::Instrument& instrument) {
    std::string labels;
    for (const auto& [name, value] : instrument.labels)
        labels += fmt::format("{}{}=\"{}\"", labels.empty() ? "" : ", ", name, value);
    if (!labels.empty()) labels = "{" + labels + "}";
    return html_escaped(instrument.name + labels);
}

void begin_table(Out out, std::string_view title, std::initializer_list<std::string_view> columns) {
    fmt::format_to(out, "<h2>{}</h2>\n<div class=\"wide\"><table><tr>", title);
    for (const std::string_view column : columns) {
        const bool numeric = column.starts_with('#');
        fmt::format_to(out, "<th{}>{}</th>", numeric ? " class=\"n\"" : "", column.substr(numeric ? 1 : 0));
    }
    fmt::format_to(out, "</tr>\n");
}

void end_table(Out out) {
    fmt::format_to(out, "</table></div>\n");
}

void workers(Out out, const std::vector<wire::Worker>& workers) {
    begin_table(out, "Workers",
                {"#Slot", "#Generation", "#Process", "State", "#Heartbeat", "#Memory", "#Files",
                 "#Connections", "#Requests", "#Queue", "Activity"});
    for (const wire::Worker& worker : workers) {
        std::uint64_t depth = 0;
        wire::nanoseconds oldest{0};
        for (const wire::AcceptQueue& queue : worker.queues) {
            depth += queue.depth;
            oldest = std::max(oldest, queue.oldest);
        }
        const std::string queue = depth == 0 ? "0" : fmt::format("{} ({})", depth, seconds_text(oldest));
        const std::string activity =
            worker.activity.empty()
                ? "idle"
                : fmt::format("{} <span class=\"soft\">for {}</span>", html_escaped(worker.activity),
                              seconds_text(worker.activity_age));
        fmt::format_to(
            out,
            "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
            "<td class=\"{}\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
            "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>\n",
            worker.slot, worker.generation, worker.pid, wire::state_name(worker.state),
            wire::state_name(worker.state), seconds_text(worker.heartbeat_age),
            bytes_text(static_cast<double>(worker.resident_bytes)), worker.open_files, worker.connections,
            worker.requests, queue, activity);
    }
    end_table(out);
}

void listeners(Out out, const telemetry::SegmentView& view) {
    begin_table(out, "Listeners", {"Address", "Protocol", "#Backlog", "#Limit"});
    for (const telemetry::ListenerInfo& listener : view.listeners()) {
        const auto backlog = kernel_backlog(listener);
        fmt::format_to(out, "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                       html_escaped(listener.address), html_escaped(listener.protocol),
                       backlog ? std::to_string(*backlog) : "unknown", listener.backlog_limit);
    }
    end_table(out);
}

/// The sample of an instrument in a tick of one series, if it is of that kind.
template <class Value>
const Value* find(const wire::Tick& tick, std::uint32_t instrument) {
    for (const wire::Series& series : tick.series)
        for (const wire::Sample& sample : series.samples)
            if (sample.instrument == instrument) return std::get_if<Value>(&sample.value);
    return nullptr;
}

void distributions(Out out, const Catalogue& catalogue, const wire::Tick& minute) {
    begin_table(out, "Distributions, last minute", {"Name", "#Count", "#p50", "#p90", "#p99", "#Mean"});
    for (const auto& [index, instrument] : catalogue) {
        const auto* histogram = find<ExponentialHistogram>(minute, index);
        if (!histogram || histogram->empty()) continue;
        const auto text = [&unit = instrument.unit](std::optional<double> value) {
            return value_text(value.value_or(0), unit);
        };
        fmt::format_to(out,
                       "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
                       "<td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                       instrument_text(instrument), histogram->count(), text(histogram->quantile(0.5)),
                       text(histogram->quantile(0.9)), text(histogram->quantile(0.99)),
                       text(histogram->mean()));
    }
    end_table(out);
}

void counters(Out out, const Catalogue& catalogue, const wire::Tick& totals, const wire::Tick& minute) {
    const double seconds = std::chrono::duration<double>(minute.length).count();
    begin_table(out, "Counters and gauges", {"Name", "#Total or value", "#Per second, last minute"});
    for (const auto& [index, instrument] : catalogue) {
        if (const auto* gauge = find<wire::GaugeValue>(totals, index))
            fmt::format_to(out, "<tr><td>{}</td><td class=\"n\">{}</td><td></td></tr>\n",
                           instrument_text(instrument), value_text(gauge->value, instrument.unit));
        if (instrument.kind != wire::InstrumentKind::counter) continue;
        const auto* total = find<wire::CounterDelta>(totals, index);
        const auto* change = find<wire::CounterDelta>(minute, index);
        const double rate = change && seconds > 0 ? static_cast<double>(change->increase) / seconds : 0;
        fmt::format_to(out, "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.4g}</td></tr>\n",
                       instrument_text(instrument), total ? total->increase : 0, rate);
    }
    end_table(out);
}

void events(Out out, const EventLog& log) {
    constexpr std::size_t shown = 20;
    begin_table(out, "Last events", {"Time", "Severity", "#Slot", "Name", "Text"});
    const auto& retained = log.retained();
    const auto end = retained.rbegin() + static_cast<std::ptrdiff_t>(std::min(shown, retained.size()));
    for (auto event = retained.rbegin(); event != end; ++event)
        fmt::format_to(
            out,
            "<tr><td>{}</td><td class=\"{}\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>\n",
            wire::time_text(event->time), wire::severity_name(event->severity),
            wire::severity_name(event->severity),
            event->slot == wire::Event::kGroup ? "group" : std::to_string(event->slot),
            html_escaped(event->name), html_escaped(wire::event_in_words(*event)));
    end_table(out);
}

}  // namespace

std::string html_escaped(std::string_view text) {
    std::string result;
    for (const char c : wire::to_utf8(text)) {
        switch (c) {
            case '&':
                result += "&amp;";
                break;
            case '<':
                result += "&lt;";
                break;
            case '>':
                result += "&gt;";
                break;
            case '"':
                result += "&quot;";
                break;
            case '\'':
                result += "&#39;";
                break;
            default:
                result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
        }
    }
    return result;
}

std::string front_page(const telemetry::SegmentView& view, const Feeds& feeds) {
    const wire::Tick totals = feeds.totals();
    const wire::Tick minute = feeds.last_minute();
    std::string page(kHead);
    const Out out(page);
    const auto ready =
        std::count_if(totals.workers.begin(), totals.workers.end(),
                      [](const wire::Worker& worker) { return worker.state == wire::WorkerState::ready; });
    fmt::format_to(
        out,
        "<title>{0} – Signalbox</title></head><body>\n<h1>{0}</h1>\n"
        "<p>{1} of {2} workers ready{3}, up {4}, as of {5}. <a href=\"/metrics\">Metrics</a></p>\n",
        html_escaped(view.group_name()), ready, totals.target_workers,
        totals.degraded ? ", <span class=\"error\">degraded: a crash loop holds replacements back</span>"
                        : "",
        seconds_text(totals.length), wire::time_text(totals.end));
    workers(out, totals.workers);
    listeners(out, view);
    distributions(out, feeds.catalogue(), minute);
    counters(out, feeds.catalogue(), totals, minute);
    events(out, feeds.events());
    page += "</body></html>\n";
    return page;
}

}  // namespace signalbox::service
