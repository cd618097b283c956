// A real arbiter in a child process, with workers that do nothing but live, and a test that plays the agent.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "agent/supervisor/arbiter.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::tests {

using namespace supervisor;
using namespace std::chrono_literals;

inline std::atomic<bool> told_to_stop{false};

/// Beats until SIGTERM or SIGQUIT; then exits with 0.
inline int live(telemetry::SeatWriter& seat, const std::function<void()>& notify) {
    for (const int signal : {SIGTERM, SIGQUIT})
        ::signal(signal, [](int) { told_to_stop = true; });
    seat.beat();
    seat.set_phase(telemetry::Phase::ready);
    notify();
    while (!told_to_stop) {
        seat.beat();
        poll(nullptr, 0, 5);
    }
    seat.set_phase(telemetry::Phase::draining);
    return 0;
}

/// An arbiter in a child process, seen through its segment.
class Running {
public:
    explicit Running(ArbiterConfig config, const std::function<void(Context, ArbiterConfig&)>& tell = {})
        : telemetry_({.group = "test", .max_workers = config.roster.max_workers}) {
        config.quiet = true;
        if (tell) tell(Context(telemetry_), config);
        if (!config.worker) config.worker = live;
        pid_ = fork();
        if (pid_ == 0) {
            _exit(Arbiter(telemetry_, config).run());
        }
    }
    ~Running() {
        if (pid_ > 0) {
            kill(pid_, SIGQUIT);
            wait();
        }
    }
    int wait() {
        int status = -1;
        waitpid(pid_, &status, 0);
        pid_ = 0;
        return status;
    }
    bool has_ended() {
        if (pid_ == 0) return true;
        siginfo_t info{};
        return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid != 0;
    }
    void send(int signal) const { kill(pid_, signal); }

    std::vector<wire::Worker> workers(wire::WorkerState state) const {
        auto workers = view_.workers();
        std::erase_if(workers, [state](const wire::Worker& worker) { return worker.state != state; });
        return workers;
    }
    bool all_ready(std::size_t count) const {
        return view_.workers().size() == count && workers(wire::WorkerState::ready).size() == count;
    }
    std::vector<std::string> events() const {
        std::vector<telemetry::RawEvent> raw;
        std::uint64_t next = 0;
        view_.read_group_events(next, raw);
        std::vector<std::string> names;
        for (const auto& event : raw)
            names.push_back(event.name);
        return names;
    }
    std::string last_text(const std::string& name) const {
        std::vector<telemetry::RawEvent> raw;
        std::uint64_t next = 0;
        view_.read_group_events(next, raw);
        const auto found =
            std::find_if(raw.rbegin(), raw.rend(), [&](const auto& event) { return event.name == name; });
        return found == raw.rend() ? std::string() : found->text;
    }
    auto count(const std::string& name) const {
        const auto names = events();
        return std::count(names.begin(), names.end(), name);
    }
    const telemetry::SegmentView& view() const { return view_; }
    pid_t pid() const { return pid_; }

private:
    Telemetry telemetry_;
    telemetry::SegmentView view_{telemetry_.segment().descriptor()};
    pid_t pid_ = 0;
};

inline ArbiterConfig with_workers(unsigned workers) {
    ArbiterConfig config;
    config.roster = {.workers = workers, .max_workers = 8, .drain_deadline = 1s};
    return config;
}

/// An agent that passes on what the test writes into a pair of sockets, so that the test gives the commands.
struct CommandLine {
    CommandLine() { socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends); }
    ~CommandLine() {
        close(ends[0]);
        close(ends[1]);
    }
    std::function<int(int)> agent() {
        return [this](int arbiter) {
            for (;;) {
                std::array<pollfd, 2> ready = {{{ends[1], POLLIN, 0}, {arbiter, POLLIN, 0}}};
                poll(ready.data(), ready.size(), -1);
                std::array<char, 512> bytes;
                if (ready[0].revents != 0)
                    ::send(arbiter, bytes.data(),
                           static_cast<std::size_t>(recv(ends[1], bytes.data(), bytes.size(), 0)), 0);
                if (ready[1].revents & POLLIN)
                    ::send(ends[1], bytes.data(),
                           static_cast<std::size_t>(recv(arbiter, bytes.data(), bytes.size(), 0)), 0);
                else if (ready[1].revents != 0)
                    return 0;
            }
        };
    }
    Answer ask(Command command) {
        command.id = ++id;
        std::strcpy(command.principal, "the test");
        ::send(ends[0], &command, sizeof command, 0);
        Answer answer;
        pollfd ready{ends[0], POLLIN, 0};
        if (poll(&ready, 1, 5000) != 1 || recv(ends[0], &answer, sizeof answer, 0) != sizeof answer)
            answer.outcome = static_cast<Outcome>(99);
        return answer;
    }
    int ends[2] = {-1, -1};
    std::uint64_t id = 0;
};

}  // namespace signalbox::tests
