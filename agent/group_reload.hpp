// Reading a group's configuration again while it runs: what can change does, what needs a restart is named.
//
// Runs in the arbiter, upon SIGHUP or an operator's command. It is all or nothing: if anything in the file is wrong,
// nothing has changed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/configuration/source.hpp"
#include "agent/group_settings.hpp"
#include "agent/supervisor/arbiter.hpp"
#include "agent/supervisor/journal.hpp"

namespace signalbox {

class GroupReload {
public:
    /// `options` and `listeners` are what new workers are made of.
    GroupReload(Telemetry& telemetry, const GroupSettings& settings, GroupOptions& options,
                std::vector<std::shared_ptr<server::Listener>>& listeners);

    supervisor::Reloaded read_again();

private:
    supervisor::Reloaded refuse(const std::vector<std::string>& errors);
    void take_group(const configuration::Composed& now);
    void take_listener(server::Listener& bound, const configuration::ComposedListener& now);
    void take_backlog(const server::Listener& bound);
    void compare_own(const configuration::Composed& now);
    void compare_listeners(const configuration::Composed& now);
    void set_tunable(const std::string& name, const std::string& shown_name, std::uint64_t word,
                     const std::string& origin);
    void note_change(const std::string& name, const std::string& text);

    Telemetry& telemetry_;
    const configuration::Source& source_;
    supervisor::Journal journal_;
    GroupOptions& options_;
    std::vector<std::shared_ptr<server::Listener>>& listeners_;
    configuration::Composed running_;  ///< what holds; of what needs a restart, what has held since the start
    std::vector<std::string> changed_;
    std::vector<std::string> need_restart_;
};

}  // namespace signalbox
