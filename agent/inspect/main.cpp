// signalbox-inspect: the black box. Exit status: 0 done, 1 violations found (--verify), 2 cannot be read, or called
// wrongly.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <exception>

#include "agent/inspect/find.hpp"
#include "agent/inspect/json.hpp"
#include "agent/inspect/report.hpp"
#include "agent/inspect/text.hpp"
#include "agent/telemetry/verify.hpp"
#include "common/text/words.hpp"

namespace {

using namespace signalbox;
using namespace signalbox::inspect;
using telemetry::SegmentView;

constexpr int kViolations = 1;
constexpr int kCannotRead = 2;

constexpr const char* kDescription =
    "signalbox-inspect prints what a segment says: of a group that runs, hangs, or was killed whole.\n";

constexpr const char* kFooter =
    "\nExamples:\n"
    "  signalbox-inspect /run/signalbox/mailroom.segment\n"
    "  signalbox-inspect --pid 4242 --workers --events all\n"
    "  signalbox-inspect mailroom.segment --json | jq '.workers[] | {slot, state, activity}'\n"
    "\nJSON: group, boot_id, alive, created, end, age_seconds, arbiter, agent, listeners, workers (slot, "
    "pid, state,\n"
    "activity, requests, ...), figures (name, kind, labels; total, value, or count, sum, min, max, mean, "
    "p50, p90, p99,\n"
    "p999), crashes (time, slot, pid, signal, activity, stack), events (time, seconds_before_end, slot,\n"
    "pid, name, text), faults. Seconds and bytes throughout.\n"
    "\nExit status: 0 done; 1 --verify found violations; 2 the segment cannot be read.";

struct Arguments {
    std::string path;
    pid_t pid = 0;
    bool json = false;
    bool verify = false;
    ReportOptions report;
};

/// "30", "2.5" or "all".
std::optional<std::chrono::nanoseconds> parse_span(const std::string& text) {
    if (text == "all") return std::nullopt;
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    constexpr double kLongest = 1e9;
    if (error != std::errc{} || end != text.data() + text.size() || !(seconds >= 0 && seconds <= kLongest))
        throw CLI::ValidationError("--events",
                                   fmt::format("'{}' is not a number of seconds; try '30' or 'all'", text));
    return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

void declare(CLI::App& app, Arguments& arguments) {
    auto* file = app.add_option("FILE", arguments.path, "The segment's file");
    auto* pid =
        app.add_option("--pid", arguments.pid, "Of a live group: any of its processes, instead of FILE")
            ->type_name("PID")
            ->check(CLI::Range(1, 1 << 22));
    file->excludes(pid);
    auto* json = app.add_flag("--json", arguments.json, "For programs instead of people");
    auto* workers = app.add_flag("--workers", arguments.report.workers, "Figures of each worker, too");
    auto* events =
        app.add_option_function<std::string>(
               "--events",
               [&arguments](const std::string& text) { arguments.report.events = parse_span(text); },
               "Events of so many seconds before the end (default 10), or all that are left")
            ->type_name("SECONDS|all");
    app.add_flag("--verify", arguments.verify,
                 "Instead check every part of the segment: a line for each violation")
        ->excludes(json)
        ->excludes(workers)
        ->excludes(events);
    app.footer(kFooter);
}

int print_violations(const SegmentView& view, const Report& report, const std::string& name) {
    using telemetry::Writers;
    const auto violations = verify(view, report.alive ? Writers::busy : Writers::gone);
    for (const std::string& violation : violations)
        fmt::print("{}\n", violation);
    if (violations.empty()) fmt::print("{}: no violations\n", text::escaped(name));
    return violations.empty() ? 0 : kViolations;
}

int inspect_segment(const Arguments& arguments) {
    const File file = arguments.pid ? open_segment_of(arguments.pid) : open_path(arguments.path);
    try {
        SegmentView view(file.descriptor(), SegmentView::Hold::copy);
        const Report report = make_report(view, Processes(file.descriptor()), arguments.report);
        if (arguments.verify) return print_violations(view, report, file.name());
        if (arguments.json)
            fmt::print("{}\n", to_json(report).dump(2));
        else
            fmt::print("{}", to_text(report));
        return 0;
    } catch (const telemetry::SegmentError& error) {
        throw NotFound(fmt::format("{}: {}", file.name(), error.what()));
    }
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    CLI::App app{kDescription, "signalbox-inspect"};
    declare(app, arguments);
    try {
        app.parse(argc, argv);
        if (arguments.path.empty() && arguments.pid == 0)
            throw CLI::RequiredError("a segment: give its FILE, or --pid of a process of its group");
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kCannotRead;
    }
    try {
        return inspect_segment(arguments);
    } catch (const std::exception& error) {
        fmt::print(stderr, "signalbox-inspect: {}\n", text::escaped(error.what()));
        return kCannotRead;
    }
}
