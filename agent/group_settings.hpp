// The settings of a group as the Context shows them: what was chosen, and where. Those that need no restart are tunables.
// Names, ranges and help texts are those of the table (configuration/table.hpp).
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "agent/configuration/composed.hpp"
#include "agent/server/listener.hpp"
#include "agent/supervisor/limits.hpp"
#include "agent/supervisor/loop_watch.hpp"
#include "agent/supervisor/scaling.hpp"
#include "signalbox/context.hpp"
#include "signalbox/group.hpp"

namespace signalbox {

class GroupSettings {
public:
    /// Tells the Context all settings of the group, and the server's own.
    GroupSettings(Telemetry& telemetry, const GroupOptions& given);

    /// Tells the Context those of a listener that is bound.
    void tell(const server::Listener& listener);
    Tunable<std::chrono::milliseconds> queue_deadline(unsigned listener, const ListenerOptions& options);

    /// What held when the group was made, and where it was chosen.
    const configuration::Composed& composed() const { return composed_; }

private:
    template <class T>
    Tunable<T> tunable(std::string_view name);
    configuration::ComposedListener composed_of(const std::string& address,
                                                const ListenerOptions& options) const;

    configuration::Composed composed_;

public:
    Context context;
    Tunable<std::chrono::milliseconds> drain_deadline;
    Tunable<std::chrono::milliseconds> start_deadline;
    Tunable<std::chrono::milliseconds> upgrade_deadline;
    supervisor::Limits limits;
    supervisor::LoopThresholds loops;
    supervisor::ScalingConfig scaling;
};

/// "listener_0_limits_header"
std::string listener_setting_name(unsigned listener, const std::string& name);
/// At most as long as the Context's origins; of a longer one the end.
std::string shown_origin(const std::string& origin);

}  // namespace signalbox
