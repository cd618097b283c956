#include "common/wire/names.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace signalbox::wire {

std::string_view state_name(WorkerState state) {
    switch (state) {
        case WorkerState::starting:
            return "starting";
        case WorkerState::ready:
            return "ready";
        case WorkerState::draining:
            return "draining";
        case WorkerState::stalled:
            return "stalled";
        case WorkerState::dead:
            break;
    }
    return "dead";
}

std::string_view severity_name(Severity severity) {
    switch (severity) {
        case Severity::debug:
            return "debug";
        case Severity::info:
            return "info";
        case Severity::warning:
            return "warning";
        case Severity::error:
            break;
    }
    return "error";
}

std::string_view kind_name(InstrumentKind kind) {
    switch (kind) {
        case InstrumentKind::counter:
            return "counter";
        case InstrumentKind::gauge:
            return "gauge";
        case InstrumentKind::distinct:
            return "distinct";
        case InstrumentKind::heavy_hitters:
            return "heavy_hitters";
        case InstrumentKind::distribution:
            break;
    }
    return "distribution";
}

std::string_view aggregation_name(Aggregation aggregation) {
    return aggregation == Aggregation::max ? "max" : "sum";
}

std::string time_text(WallTime time) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time - whole);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(whole)), milliseconds.count());
}

}  // namespace signalbox::wire
