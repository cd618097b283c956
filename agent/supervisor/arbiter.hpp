// The arbiter: the parent of all processes of a group. One thread, one loop; it forks, waits, replaces, and
// serves nobody.
//
//     Arbiter arbiter(telemetry, {.roster = {.workers = 2}, .worker = serve, .agent = show});
//     return arbiter.run();
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "agent/supervisor/agent_keeper.hpp"
#include "agent/supervisor/predecessor.hpp"
#include "agent/supervisor/roster.hpp"
#include "agent/supervisor/service_manager.hpp"
#include "agent/supervisor/upgrade.hpp"
#include "agent/telemetry/inherited_totals.hpp"

namespace signalbox::supervisor {

struct ArbiterConfig {
    RosterConfig roster{};  ///< `fork_worker` is the arbiter's to set
    /// Runs in a new worker process; `notify` wakes the arbiter after a change of phase.
    std::function<int(telemetry::SeatWriter& seat, std::function<void()> notify)> worker{};
    /// Runs in the agent's process. Empty: no agent.
    std::function<int(int command_socket)> agent{};
    std::vector<int> close_in_workers{};  ///< descriptors that only the agent needs
    std::vector<int> close_in_agent{};    ///< descriptors that only the workers need
    bool quiet = false;

    UpgradeConfig upgrade{};              ///< to be replaced by another process
    std::function<void()> handed_over{};  ///< called when that is in charge
    Predecessor* predecessor = nullptr;   ///< whom this process is to replace, if anybody
    std::function<void()> taken_over{};   ///< called when this one is in charge
};

class Arbiter {
public:
    Arbiter(Telemetry& telemetry, ArbiterConfig config);
    ~Arbiter();
    Arbiter(const Arbiter&) = delete;
    Arbiter& operator=(const Arbiter&) = delete;

    /// Returns after TERM or INT or an upgrade (all workers have drained) or QUIT (they were stopped): 0; or when the loop
    /// itself fails: EX_OSERR. Throws std::system_error if it cannot start.
    int run();

private:
    pid_t fork_worker(unsigned seat);
    pid_t fork_agent(int command_socket);
    std::vector<int> own_descriptors() const;
    void wait_for_something(std::uint64_t now);
    void handle_signals();
    void reap();
    void handle_commands();
    Answer execute(const Command& command);
    Answer set(const Command& command);
    Roster::Verdict scale(const std::string& reason, unsigned workers, const std::string& origin);
    void scale_by_signal(const std::string& signal, unsigned workers);
    void begin_stop(bool at_once);
    void begin_reload();
    void tell_manager(std::uint64_t now);
    Roster::Verdict begin_upgrade(const std::string& reason);
    bool is_in_charge() const;
    void maintain_upgrade(std::uint64_t now);
    void note_upgrade_failed();
    void maintain_succession(std::uint64_t now);
    void take_over(std::uint64_t now);
    void inherit(bool finish);

    Telemetry& telemetry_;
    telemetry::Segment& segment_;
    ArbiterConfig config_;
    Journal journal_;
    Roster roster_;
    AgentKeeper agent_;
    Upgrade upgrade_;
    std::optional<telemetry::InheritedTotals> inherited_;  ///< while the group before this one lives
    int signals_ = -1;
    int wake_ = -1;  ///< an eventfd that workers write to
    ServiceManager manager_;
    bool stopping_ = false;
    bool ready_told_ = false;  ///< to the manager, since the start or the last reload
    std::uint64_t next_sample_ns_ = 0;
    std::uint64_t next_inheritance_ns_ = 0;
    std::uint64_t agent_gone_by_ns_ = 0;  ///< 0: it is not to end for an upgrade
    std::uint64_t now_ = 0;
};

}  // namespace signalbox::supervisor
