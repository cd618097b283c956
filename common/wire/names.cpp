#include "common/wire/names.hpp"

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
    switch (aggregation) {
        case Aggregation::sum:
            break;
        case Aggregation::max:
            return "max";
        case Aggregation::last:
            return "last";
    }
    return "sum";
}

}  // namespace signalbox::wire
