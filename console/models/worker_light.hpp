// Which light stands for a worker's state.
#pragma once

#include "common/wire/messages.hpp"
#include "console/models/roles.hpp"

namespace signalbox::console {

inline Light lightOf(wire::WorkerState state) {
    switch (state) {
        case wire::WorkerState::starting:
            return Light::starting;
        case wire::WorkerState::ready:
            return Light::ready;
        case wire::WorkerState::draining:
            return Light::draining;
        case wire::WorkerState::stalled:
            return Light::stalled;
        case wire::WorkerState::dead:
            return Light::dead;
    }
    return Light::off;
}

}  // namespace signalbox::console
