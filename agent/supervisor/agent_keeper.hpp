// Keeps the agent process running and carries its commands. When the agent dies, another one starts at once;
// one that keeps dying is started ever more slowly. The traffic does not notice.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "agent/supervisor/commands.hpp"
#include "agent/supervisor/journal.hpp"

namespace signalbox::supervisor {

class AgentKeeper {
public:
    /// `fork_agent` forks the agent with its end of the command socket; its pid, or -1. Empty: there is no
    /// agent.
    AgentKeeper(telemetry::Segment& segment, const Journal& journal,
                std::function<pid_t(int command_socket)> fork_agent);
    ~AgentKeeper();
    AgentKeeper(const AgentKeeper&) = delete;
    AgentKeeper& operator=(const AgentKeeper&) = delete;

    /// Starts the agent if there is none and it is time.
    void maintain(std::uint64_t now);
    /// When maintain() has to be called at the latest; UINT64_MAX: no hurry.
    std::uint64_t next_deadline() const;
    /// A child has ended. False if it was not the agent.
    bool reaped(pid_t pid, int wait_status, std::uint64_t now);
    /// No more agents; this one is told to end, and later killed.
    void stop();
    /// Takes that back: another one starts when this one has ended.
    void resume();
    void kill();
    bool running() const { return pid_ > 0; }

    /// The arbiter's end of the command socket; -1 while there is no agent. It is another one after each
    /// start.
    int socket() const { return socket_; }
    /// A command that has arrived, if any. Datagrams of another size are dropped and reported.
    std::optional<Command> receive();
    void answer(const Answer& answer);

private:
    void close_socket();

    telemetry::Segment& segment_;
    const Journal& journal_;
    std::function<pid_t(int)> fork_agent_;
    pid_t pid_ = 0;
    int socket_ = -1;
    bool stopping_ = false;
    unsigned failures_ = 0;
    std::uint64_t started_ns_ = 0;
    std::uint64_t not_before_ns_ = 0;
};

}  // namespace signalbox::supervisor
