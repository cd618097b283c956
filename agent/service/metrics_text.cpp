#include "agent/service/metrics_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <vector>

#include "common/wire/names.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::service {
namespace {

using sketch::ExponentialHistogram;
using Out = std::back_insert_iterator<std::string>;

std::string escaped(std::string_view text, bool quotes) {
    std::string result;
    for (const char c : wire::to_utf8(text)) {
        if (c == '\\')
            result += "\\\\";
        else if (c == '\n')
            result += "\\n";
        else if (c == '"' && quotes)
            result += "\\\"";
        else
            result += c;
    }
    return result;
}

std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    return fmt::format("{}", value);
}

/// The directory is shared memory: one scribbled-over label must not spoil the whole text.
bool is_label_name(std::string_view name) {
    const auto letter = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    return !name.empty() && letter(name.front()) && name != "le" &&
           std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// "{class="2xx",le="0.5"}", or nothing without labels.
std::string label_text(const wire::Labels& labels, std::string_view le = {}) {
    std::string text;
    const auto add = [&text](std::string_view name, std::string_view value) {
        text += fmt::format("{}{}=\"{}\"", text.empty() ? "{" : ",", name, escaped(value, true));
    };
    for (const auto& [name, value] : labels)
        if (is_label_name(name)) add(name, value);
    if (!le.empty()) add("le", le);
    return text.empty() ? text : text + "}";
}

void heading(Out out, std::string_view name, std::string_view help, std::string_view type) {
    fmt::format_to(out, "# HELP {0} {1}\n# TYPE {0} {2}\n", name, escaped(help.empty() ? name : help, false),
                   type);
}

void histogram(Out out, const wire::Instrument& instrument, const ExponentialHistogram& finest) {
    const ExponentialHistogram octaves = finest.reduced_to(0);
    const auto line = [&](std::string_view le, std::uint64_t count) {
        fmt::format_to(out, "{}_bucket{} {}\n", instrument.name, label_text(instrument.labels, le), count);
    };
    std::uint64_t seen = octaves.count_up_to(0);
    if (!octaves.buckets()
             .empty())  // without a bound below the first bucket its values would seem to reach to zero
        line(number(std::ldexp(1.0, octaves.first_bucket())), seen);
    for (std::size_t i = 0; i < octaves.buckets().size(); ++i) {
        seen += octaves.buckets()[i];
        line(number(std::ldexp(1.0, octaves.first_bucket() + static_cast<int>(i) + 1)), seen);
    }
    line("+Inf", octaves.count());
    const std::string labels = label_text(instrument.labels);
    fmt::format_to(out, "{0}_sum{1} {2}\n{0}_count{1} {3}\n", instrument.name, labels, number(octaves.sum()),
                   octaves.count());
}

/// The totals of an instrument that says nothing yet are zero; a gauge without a worker has no value.
void instrument_lines(Out out, const wire::Instrument& instrument, const wire::Sample* sample) {
    const std::string labels = label_text(instrument.labels);
    switch (instrument.kind) {
        case wire::InstrumentKind::counter: {
            const auto* counter = sample ? std::get_if<wire::CounterDelta>(&sample->value) : nullptr;
            fmt::format_to(out, "{}{} {}\n", instrument.name, labels, counter ? counter->increase : 0);
            break;
        }
        case wire::InstrumentKind::gauge:
            if (const auto* gauge = sample ? std::get_if<wire::GaugeValue>(&sample->value) : nullptr)
                fmt::format_to(out, "{}{} {}\n", instrument.name, labels, number(gauge->value));
            break;
        case wire::InstrumentKind::distribution: {
            static const ExponentialHistogram none;
            const auto* distribution = sample ? std::get_if<ExponentialHistogram>(&sample->value) : nullptr;
            histogram(out, instrument, distribution ? *distribution : none);
            break;
        }
        case wire::InstrumentKind::distinct: {
            const auto* distinct = sample ? std::get_if<wire::DistinctCount>(&sample->value) : nullptr;
            const auto line = [&](std::string_view window, double count) {
                wire::Labels with_window = instrument.labels;
                with_window.emplace_back("window", window);
                fmt::format_to(out, "{}{} {}\n", instrument.name, label_text(with_window), number(count));
            };
            line("ever", distinct ? distinct->ever : 0);
            line("1h", distinct ? distinct->last_hour : 0);
            line("1m", distinct ? distinct->last_minute : 0);
            break;
        }
        case wire::InstrumentKind::heavy_hitters:
            break;  // a series for every key that is frequent for a while would fill any database
    }
}

void instruments(Out out, const wire::Tick& totals, const Catalogue& catalogue) {
    constexpr std::array<std::string_view, 5> types{"", "counter", "gauge", "histogram", "gauge"};
    std::map<std::uint32_t, const wire::Sample*> samples;
    for (const wire::Series& series : totals.series)
        for (const wire::Sample& sample : series.samples)
            samples[sample.instrument] = &sample;
    // All label sets of a name belong together.
    std::map<std::string_view, std::vector<const wire::Instrument*>> families;
    for (const auto& [index, instrument] : catalogue) {
        auto& family = families[instrument.name];
        if (family.empty() || family.front()->kind == instrument.kind) family.push_back(&instrument);
    }
    for (const auto& [name, family] : families) {
        if (family.front()->kind == wire::InstrumentKind::heavy_hitters) continue;
        heading(out, name, family.front()->help, types[static_cast<std::size_t>(family.front()->kind)]);
        for (const wire::Instrument* instrument : family) {
            const auto sample = samples.find(instrument->index);
            instrument_lines(out, *instrument, sample == samples.end() ? nullptr : sample->second);
        }
    }
}

/// A slot, with its successor and predecessor together while it is cycled.
struct Slot {
    double resident_bytes = 0;
    double open_files = 0;
    double connections = 0;
    double queue_depth = 0;
    double heartbeat_age = 0;
};

void workers(Out out, const wire::Tick& totals) {
    std::map<std::uint32_t, Slot> slots;
    std::map<wire::WorkerState, unsigned> states;
    for (const wire::Worker& worker : totals.workers) {
        ++states[worker.state];
        Slot& slot = slots[worker.slot];
        slot.resident_bytes += static_cast<double>(worker.resident_bytes);
        slot.open_files += worker.open_files;
        slot.connections += worker.connections;
        for (const wire::AcceptQueue& queue : worker.queues)
            slot.queue_depth += queue.depth;
        slot.heartbeat_age =
            std::max(slot.heartbeat_age, std::chrono::duration<double>(worker.heartbeat_age).count());
    }
    struct Column {
        std::string_view name;
        std::string_view help;
        double Slot::*value;
    };
    constexpr Column columns[] = {
        {"signalbox_worker_resident_bytes", "Resident memory of the slot's processes.",
         &Slot::resident_bytes},
        {"signalbox_worker_open_files", "Open files of the slot's processes.", &Slot::open_files},
        {"signalbox_worker_connections", "Open connections of the slot's processes.", &Slot::connections},
        {"signalbox_worker_heartbeat_age_seconds",
         "Time since the event loop last turned, the oldest of the slot's processes.", &Slot::heartbeat_age},
        {"signalbox_worker_queue_depth", "Accepted connections that wait for the event loop.",
         &Slot::queue_depth},
    };
    for (const Column& column : columns) {
        heading(out, column.name, column.help, "gauge");
        for (const auto& [index, slot] : slots)
            fmt::format_to(out, "{}{{slot=\"{}\"}} {}\n", column.name, index, number(slot.*column.value));
    }
    heading(out, "signalbox_workers", "Worker processes by state.", "gauge");
    for (const auto state :
         {wire::WorkerState::starting, wire::WorkerState::ready, wire::WorkerState::draining,
          wire::WorkerState::stalled, wire::WorkerState::dead})
        fmt::format_to(out, "signalbox_workers{{state=\"{}\"}} {}\n", wire::state_name(state), states[state]);
}

}  // namespace

std::string metrics_text(const wire::Tick& totals, const Catalogue& catalogue) {
    std::string text;
    const Out out(text);
    instruments(out, totals, catalogue);
    workers(out, totals);
    heading(out, "signalbox_target_workers", "Workers that the group is to have.", "gauge");
    fmt::format_to(out, "signalbox_target_workers {}\n", totals.target_workers);
    heading(out, "signalbox_degraded", "1 while a crash loop holds replacements back.", "gauge");
    fmt::format_to(out, "signalbox_degraded {}\n", totals.degraded ? 1 : 0);
    return text;
}

}  // namespace signalbox::service
