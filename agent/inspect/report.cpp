#include "agent/inspect/report.hpp"

#include <algorithm>
#include <map>

#include "agent/telemetry/collector.hpp"

namespace signalbox::inspect {
namespace {

using telemetry::SegmentView;

std::uint64_t started_ns(const SegmentView& view, unsigned seat) {
    return view.seat(seat).started_monotonic_ns.load(std::memory_order_relaxed);
}

/// Which of the seats' processes are there, by pid.
std::map<std::uint32_t, bool> living(const SegmentView& view, const Processes& processes) {
    std::map<std::uint32_t, bool> alive;
    for (unsigned i = 0; i + 1 < view.geometry().seat_count; ++i) {
        const std::uint32_t pid = view.seat(i).pid.load(std::memory_order_acquire);
        const std::uint64_t started = started_ns(view, i);
        if (pid != 0 && !alive.contains(pid)) alive[pid] = processes.is_alive(pid, {started, started});
    }
    return alive;
}

void add_connections(const SegmentView& view, Report& report) {
    for (unsigned seat = 0; seat + 1 < view.geometry().seat_count; ++seat) {
        telemetry::ConnectionList connections = view.connections(seat);
        if (connections.shown.empty() && connections.unseen == 0) continue;
        const std::uint64_t generation = view.seat(seat).generation.load(std::memory_order_relaxed);
        for (WorkerInfo& worker : report.workers)
            if (worker.state.slot == seat / 2 && worker.state.generation == generation)
                worker.connections = std::move(connections);
    }
}

void add_events(const SegmentView& view, const ReportOptions& options, Report& report) {
    std::vector<telemetry::RawEvent> raw;
    const std::uint64_t end = view.now();
    const auto take = [&](std::optional<std::uint32_t> slot) {
        for (telemetry::RawEvent& event : raw) {
            const std::uint64_t age = end > event.monotonic_ns ? end - event.monotonic_ns : 0;
            const std::chrono::nanoseconds before_end(std::min<std::uint64_t>(age, INT64_MAX));
            if (options.events && before_end > *options.events) continue;
            const wire::WallTime time = view.wall_time(event.monotonic_ns);
            report.events.push_back({std::move(event), slot, time, before_end});
        }
        raw.clear();
    };
    std::uint64_t next = 0;
    view.read_group_events(next, raw);
    take(std::nullopt);
    for (unsigned seat = 0; seat < view.geometry().seat_count; ++seat) {
        next = 0;
        view.read_seat_events(seat, next, raw);
        next = 0;
        view.read_seat_actions(seat, next, raw);
        const bool arbiter = seat + 1 == view.geometry().seat_count;
        take(arbiter ? std::nullopt : std::optional(seat / 2));
    }
    std::stable_sort(report.events.begin(), report.events.end(), [](const EventInfo& a, const EventInfo& b) {
        return a.event.monotonic_ns < b.event.monotonic_ns;
    });
}

void add_figures(const SegmentView& view, const ReportOptions& options, Report& report) {
    telemetry::Collector collector(view);
    const wire::Tick totals = collector.collect();
    report.instruments = std::make_unique<const std::vector<wire::Instrument>>(collector.new_instruments());
    report.figures = group_figures(*report.instruments, totals);
    for (Figure& figure : report.figures)
        if (figure.instrument->kind == wire::InstrumentKind::distribution)
            if (const auto entry = view.entry(figure.instrument->index))
                figure.recent = telemetry::read_recent(view, *entry);
    if (!options.workers) return;
    for (const wire::Series& series : totals.series)
        for (WorkerInfo& worker : report.workers)
            if (series.source == wire::Series::Source::worker &&
                worker.state.generation == series.generation && worker.figures.empty())
                worker.figures = worker_figures(*report.instruments, series);
}

}  // namespace

Report make_report(SegmentView& view, const Processes& processes, const ReportOptions& options) {
    Report report;
    const telemetry::GroupInfo state = view.group();
    const auto alive = living(view, processes);
    // Their own starts are not noted: the arbiter's was before the creation, the agent's some time before the end.
    const std::uint64_t created =
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, view.header().created_monotonic_ns));
    report.arbiter = {state.arbiter_pid, processes.is_alive(state.arbiter_pid, {0, created})};
    report.agent = {state.agent_pid,
                    processes.is_alive(state.agent_pid, {created, view.last_sign_of_life()})};
    report.alive =
        report.arbiter.alive || report.agent.alive ||
        std::any_of(alive.begin(), alive.end(), [](const auto& process) { return process.second; });
    if (!report.alive) view.stop_clock(view.last_sign_of_life());

    report.group = view.group_name();
    report.boot_id = view.boot_id();
    report.layout_version = view.header().layout_version;
    report.created = view.created();
    report.end_monotonic_ns = view.now();
    report.end = view.wall_time(report.end_monotonic_ns);
    report.state = state;
    report.listeners = view.listeners();
    for (wire::Worker& worker : view.workers()) {
        const auto found = alive.find(worker.pid);
        const bool lives = found != alive.end() && found->second;
        report.workers.push_back({std::move(worker), lives, {}, {}});
    }
    add_connections(view, report);
    report.crashes = report_crashes(view);
    add_figures(view, options, report);
    report.settings = view.settings();
    add_events(view, options, report);
    report.faults = find_faults(view);
    return report;
}

}  // namespace signalbox::inspect
