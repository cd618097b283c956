// Everything that a segment says, as values: what text.hpp and json.hpp put into words.
//
//     const File file = open_path("/run/signalbox/mailroom.segment");
//     telemetry::SegmentView view(file.descriptor(), telemetry::SegmentView::Hold::copy);
//     const Report report = make_report(view, Processes(file.descriptor()), {.workers = true});
//     std::cout << to_text(report);
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/inspect/crashes.hpp"
#include "agent/inspect/figures.hpp"
#include "agent/inspect/life.hpp"
#include "agent/telemetry/quarantine.hpp"
#include "agent/telemetry/settings.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::inspect {

struct ReportOptions {
    bool workers = false;  ///< figures of each worker, too
    /// Events of so long before the end; nullopt: all that the rings still have.
    std::optional<std::chrono::nanoseconds> events = std::chrono::seconds(10);
};

struct ProcessInfo {
    std::uint32_t pid = 0;  ///< 0: there was none
    bool alive = false;
};

struct WorkerInfo {
    wire::Worker state;
    bool alive = false;
    std::vector<Figure> figures;  ///< if asked for
    telemetry::ConnectionList connections;
};

struct EventInfo {
    telemetry::RawEvent event;
    std::optional<std::uint32_t> slot;  ///< nullopt: the arbiter says it
    wire::WallTime time;
    std::chrono::nanoseconds before_end{0};
};

struct Report {
    std::string group;
    std::string boot_id;
    std::uint32_t layout_version = 0;
    wire::WallTime created;
    wire::WallTime end;                  ///< the moment it shows: now, or a dead group's last sign of life
    std::uint64_t end_monotonic_ns = 0;  ///< the same moment
    bool alive = false;                  ///< any process of it
    ProcessInfo arbiter;
    ProcessInfo agent;
    telemetry::GroupInfo state;
    std::vector<telemetry::ListenerInfo> listeners;
    std::vector<WorkerInfo> workers;
    std::unique_ptr<const std::vector<wire::Instrument>> instruments;  ///< which the figures point to
    std::vector<Figure> figures;                                       ///< of the whole group
    std::vector<telemetry::Setting> settings;                          ///< facts, settings and tunables
    std::vector<CrashReport> crashes;                                  ///< by time
    std::vector<EventInfo> events;                                     ///< of all rings, by time
    std::vector<telemetry::Fault> faults;  ///< what is left out because it is damaged

    wire::WallTime wall_time(std::uint64_t monotonic_ns) const {
        return end - std::chrono::nanoseconds(static_cast<std::int64_t>(end_monotonic_ns - monotonic_ns));
    }
    /// Never negative.
    std::chrono::nanoseconds age() const { return std::max(end - created, std::chrono::nanoseconds(0)); }
};

/// Stops the view's clock at the last sign of life if the group is dead. `view` should be a copy.
Report make_report(telemetry::SegmentView& view, const Processes& processes, const ReportOptions& options);

}  // namespace signalbox::inspect
