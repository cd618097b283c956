// The settings of a group as the Context shows them: what was chosen, and where. Those that need no restart are tunables.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "agent/server/worker.hpp"
#include "agent/supervisor/limits.hpp"
#include "agent/supervisor/loop_watch.hpp"
#include "signalbox/context.hpp"
#include "signalbox/group.hpp"

namespace signalbox {

class GroupSettings {
public:
    /// Tells the Context all settings of the group; `usual` are the defaults.
    GroupSettings(Telemetry& telemetry, const GroupOptions& given, const GroupOptions& usual = {});

    /// Tells the Context those of a listener that is bound.
    void tell(const server::HttpListener& listener);
    Tunable<std::chrono::milliseconds> queue_deadline(unsigned listener, const ListenerOptions& options);

    Context context;
    std::string origin;
    Tunable<std::chrono::milliseconds> drain_deadline;
    Tunable<std::chrono::milliseconds> start_deadline;
    supervisor::Limits limits;
    supervisor::LoopThresholds loops;

private:
    template <class T>
    std::string_view origin_of(const T& value, const T& otherwise) const {
        return value == otherwise ? std::string_view("default") : origin;
    }
    template <class T>
    void tell(const std::string& name, const T& value, const T& otherwise);
};

}  // namespace signalbox
