#include "agent/supervisor/agent_keeper.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/supervisor/exit_reason.hpp"

namespace signalbox::supervisor {
namespace {

using wire::Severity;

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kLongEnough = 5'000 * kMillisecond;
constexpr std::uint64_t kLongestBackOff = 5'000 * kMillisecond;

}  // namespace

AgentKeeper::AgentKeeper(telemetry::Segment& segment, const Journal& journal,
                         std::function<pid_t(int)> fork_agent)
    : segment_(segment), journal_(journal), fork_agent_(std::move(fork_agent)), stopping_(!fork_agent_) {}

AgentKeeper::~AgentKeeper() {
    close_socket();
}

void AgentKeeper::close_socket() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
}

std::uint64_t AgentKeeper::next_deadline() const {
    return stopping_ || pid_ > 0 ? UINT64_MAX : not_before_ns_;
}

void AgentKeeper::maintain(std::uint64_t now) {
    if (stopping_ || pid_ > 0 || now < not_before_ns_) return;
    not_before_ns_ = now + 1'000 * kMillisecond;  // for when the start itself fails
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        journal_.say(Severity::error, "agent_failed",
                     fmt::format("No socket for the agent: {}.", std::strerror(errno)));
        return;
    }
    socket_ = ends[0];
    const pid_t pid = fork_agent_(ends[1]);
    const int error = errno;
    ::close(ends[1]);
    if (pid < 0) {
        close_socket();
        journal_.say(Severity::error, "fork_failed",
                     fmt::format("Cannot fork a process for the agent: {}.", std::strerror(error)));
        return;
    }
    pid_ = pid;
    started_ns_ = now;
    telemetry::Group& group = segment_.group();
    group.agent_pid.store(static_cast<std::uint32_t>(pid), std::memory_order_relaxed);
    group.agent_starts.fetch_add(1, std::memory_order_relaxed);
    journal_.say(Severity::info, "agent_started", fmt::format("The agent is process {}.", pid),
                 static_cast<std::uint32_t>(pid));
}

bool AgentKeeper::reaped(pid_t pid, int wait_status, std::uint64_t now) {
    if (pid != pid_) return false;
    pid_ = 0;
    close_socket();
    segment_.group().agent_pid.store(0, std::memory_order_relaxed);
    // The first in a row is replaced at once.
    failures_ = now - started_ns_ > kLongEnough ? 0 : failures_ + 1;
    not_before_ns_ =
        failures_ <= 1 ? now : now + std::min(50 * kMillisecond << std::min(failures_, 10u), kLongestBackOff);
    if (!stopping_)
        journal_.say(Severity::error, "agent_died",
                     fmt::format("The agent (pid {}) ended: {}. Another one starts{}.", pid,
                                 describe_exit(wait_status), not_before_ns_ > now ? " soon" : ""),
                     static_cast<std::uint32_t>(pid));
    return true;
}

void AgentKeeper::stop() {
    stopping_ = true;
    if (pid_ > 0) ::kill(pid_, SIGTERM);
}

void AgentKeeper::resume() {
    stopping_ = !fork_agent_;
}

void AgentKeeper::kill() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
}

std::optional<Command> AgentKeeper::receive() {
    if (socket_ < 0) return {};
    Command command;
    const ssize_t length = ::recv(socket_, &command, sizeof command, MSG_DONTWAIT | MSG_TRUNC);
    if (length <= 0) return {};
    if (length != static_cast<ssize_t>(sizeof command)) {
        journal_.say(Severity::error, "bad_command",
                     fmt::format("The agent sent a command of {} bytes.", length));
        return {};
    }
    command.principal[sizeof command.principal - 1] = '\0';
    return command;
}

void AgentKeeper::answer(const Answer& answer) {
    // An agent that does not read its answers loses them; the arbiter does not wait.
    if (socket_ >= 0) ::send(socket_, &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace signalbox::supervisor
