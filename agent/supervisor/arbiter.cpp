#include "agent/supervisor/arbiter.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "agent/supervisor/process.hpp"
#include "agent/telemetry/checked.hpp"
#include "agent/telemetry/crash_handler.hpp"
#include "agent/telemetry/settings.hpp"
#include "agent/telemetry/stack_reporter.hpp"

namespace signalbox::supervisor {
namespace {

using telemetry::checked;
using wire::Severity;

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kSamplePeriod = 50 * kMillisecond;
constexpr std::array kSignals = {SIGTERM, SIGINT,  SIGQUIT, SIGHUP, SIGUSR1,
                                 SIGUSR2, SIGTTIN, SIGTTOU, SIGCHLD};
/// What the agent gets to say goodbye to its clients.
constexpr int kAgentFarewellMilliseconds = 1'000;

/// "operator alice"
std::string origin_of(const Command& command) {
    return fmt::format("{} {}", command.role == Role::operator_ ? "operator" : "viewer", command.principal);
}

}  // namespace

Arbiter::Arbiter(Telemetry& telemetry, ArbiterConfig config)
    : telemetry_(telemetry),
      segment_(telemetry.segment()),
      config_(std::move(config)),
      sink_(config_.output_file),
      captured_(config_.capture_output, sink_),
      journal_(segment_, config_.quiet, &sink_),
      roster_(segment_, journal_,
              [this] {
                  RosterConfig roster = config_.roster;
                  roster.fork_worker = [this](unsigned seat) { return fork_worker(seat); };
                  return roster;
              }()),
      scaling_(segment_, journal_, roster_, config_.roster.max_workers, config_.scaling),
      agent_(segment_, journal_,
             config_.agent ? [this](int command_socket) { return fork_agent(command_socket); }
                           : std::function<pid_t(int)>()),
      upgrade_(journal_, config_.upgrade) {}

Arbiter::~Arbiter() {
    for (const int descriptor : {signals_, wake_})
        if (descriptor >= 0) ::close(descriptor);
}

std::vector<int> Arbiter::own_descriptors() const {
    std::vector<int> descriptors = {signals_};
    if (agent_.socket() >= 0) descriptors.push_back(agent_.socket());
    if (manager_.present()) descriptors.push_back(manager_.descriptor());
    const auto add = [&](const std::vector<int>& more) {
        descriptors.insert(descriptors.end(), more.begin(), more.end());
    };
    add(upgrade_.descriptors());
    add(captured_.descriptors());
    if (config_.predecessor) add(config_.predecessor->descriptors());
    if (config_.upgrade.segment >= 0) descriptors.push_back(config_.upgrade.segment);
    return descriptors;
}

pid_t Arbiter::fork_worker(unsigned seat) {
    std::vector<int> to_close = own_descriptors();
    to_close.insert(to_close.end(), config_.close_in_workers.begin(), config_.close_in_workers.end());
    CapturedOutput::Pipes pipes = captured_.open();
    const pid_t pid = fork_child(to_close, [this, seat, &pipes] {
        pipes.take();
        telemetry_.attach(seat);
        // The arbiter stores the same number, but perhaps later than the worker is ready.
        segment_.seat(seat)->pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_release);
        const telemetry::CrashHandler crash_handler(segment_, seat);
        const telemetry::StackReporter stack_reporter(segment_, seat);
        telemetry::SeatWriter writer(segment_, seat);
        return config_.worker(writer, [wake = wake_] {
            const std::uint64_t one = 1;
            [[maybe_unused]] const ssize_t written = ::write(wake, &one, sizeof one);
        });
    });
    if (pid > 0)
        captured_.watch(std::move(pipes), pid,
                        fmt::format("worker {}, generation {}", seat / 2,
                                    segment_.seat(seat)->generation.load(std::memory_order_relaxed)));
    return pid;
}

pid_t Arbiter::fork_agent(int command_socket) {
    std::vector<int> to_close = own_descriptors();
    to_close.push_back(wake_);
    to_close.insert(to_close.end(), config_.close_in_agent.begin(), config_.close_in_agent.end());
    CapturedOutput::Pipes pipes = captured_.open();
    const pid_t pid = fork_child(to_close, [this, command_socket, &pipes] {
        pipes.take();
        telemetry_.detach();
        return config_.agent(command_socket);
    });
    if (pid > 0) captured_.watch(std::move(pipes), pid, "agent");
    return pid;
}

int Arbiter::run() {
    sigset_t mask;
    sigset_t previous;
    sigemptyset(&mask);
    for (const int signal : kSignals)
        sigaddset(&mask, signal);
    sigprocmask(SIG_BLOCK, &mask, &previous);
    signals_ = checked(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
    wake_ = checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");

    segment_.group().arbiter_pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
    telemetry_.attach(segment_.arbiter_seat());
    segment_.seat(segment_.arbiter_seat())
        ->pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_release);
    journal_.say(Severity::info, "group_started",
                 fmt::format("The arbiter is process {}; {} workers.", ::getpid(), roster_.target()));

    if (config_.predecessor) config_.predecessor->begin();
    while (!(stopping_ && roster_.empty() && !upgrade_.under_way())) {
        now_ = telemetry::monotonic_ns();
        if (now_ >= next_sample_ns_) {
            roster_.sample(now_);
            next_sample_ns_ = now_ + kSamplePeriod;
            if (!stopping_) scaling_.look(now_);
        }
        roster_.maintain(now_);
        maintain_upgrade(now_);
        maintain_succession(now_);
        note_start();
        if (is_in_charge()) {
            agent_.maintain(now_);
            tell_manager(now_);
        }
        wait_for_something(now_);
        now_ = telemetry::monotonic_ns();
        captured_.read(now_);
        handle_signals();
        reap();
        handle_commands();
    }
    journal_.say(Severity::info, "group_stopped", "All workers have ended.");
    agent_.stop();
    for (int waited = 0; agent_.running(); waited += 10) {
        if (waited >= kAgentFarewellMilliseconds) agent_.kill();
        pollfd signal{signals_, POLLIN, 0};
        ::poll(&signal, 1, 10);
        captured_.read(telemetry::monotonic_ns());
        reap();
    }
    sigprocmask(SIG_SETMASK, &previous, nullptr);
    return status_;
}

/// For whoever waits for the first time that all workers serve.
void Arbiter::note_start() {
    if (!config_.started) return;
    if (roster_.serving() >= roster_.target() && roster_.settled()) {
        std::exchange(config_.started, {})();
    } else if (segment_.group().degraded.load(std::memory_order_relaxed) != 0 && !stopping_) {
        status_ = EX_UNAVAILABLE;
        begin_stop(true);
    }
}

void Arbiter::wait_for_something(std::uint64_t now) {
    std::uint64_t deadline = std::min({roster_.next_deadline(now), upgrade_.next_deadline(),
                                       captured_.next_deadline(now), next_sample_ns_});
    if (is_in_charge()) deadline = std::min({deadline, agent_.next_deadline(), manager_.next_beat()});
    const std::uint64_t wait = deadline > now ? (deadline - now + kMillisecond - 1) / kMillisecond : 0;
    std::vector<pollfd> descriptors = {{signals_, POLLIN, 0},
                                       {wake_, POLLIN, 0},
                                       {agent_.socket(), POLLIN, 0}};  // a negative one is left out
    if (config_.predecessor) descriptors.push_back({config_.predecessor->socket(), POLLIN, 0});
    for (const int descriptor : upgrade_.descriptors())
        descriptors.push_back({descriptor, POLLIN, 0});
    captured_.add_to(descriptors, now);
    ::poll(descriptors.data(), descriptors.size(), static_cast<int>(wait));
    if (descriptors[1].revents != 0) {
        std::uint64_t count = 0;
        [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof count);
    }
}

void Arbiter::handle_signals() {
    signalfd_siginfo info;
    while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        switch (static_cast<int>(info.ssi_signo)) {
            case SIGTERM:
            case SIGINT:
                begin_stop(stopping_);
                break;
            case SIGQUIT:
                begin_stop(true);
                break;
            case SIGHUP:
                begin_reload();
                break;
            case SIGUSR1:
                roster_.forward(SIGUSR1);
                sink_.reopen();
                journal_.say(Severity::info, "logs_reopened", "SIGUSR1: the workers reopen their log files.");
                break;
            case SIGUSR2:
                if (const Roster::Verdict verdict = begin_upgrade("SIGUSR2");
                    verdict.refusal != Roster::Refusal::none)
                    journal_.say(Severity::warning, "command_refused", verdict.text + " (SIGUSR2)");
                break;
            case SIGTTIN:
                scale_by_signal("SIGTTIN", roster_.target() + 1);
                break;
            case SIGTTOU:
                scale_by_signal("SIGTTOU", roster_.target() - 1);
                break;
            default:
                break;  // SIGCHLD: reap() looks at every turn
        }
    }
}

void Arbiter::begin_reload() {
    const Roster::Verdict verdict = reload("SIGHUP");
    const bool accepted = verdict.refusal == Roster::Refusal::none;
    journal_.say(accepted ? Severity::info : Severity::warning,
                 accepted ? "cycle_requested" : "command_refused", "SIGHUP: " + verdict.text);
}

Roster::Verdict Arbiter::reload(const std::string& reason) {
    if (stopping_) return {Roster::Refusal::refused, "The group is stopping."};
    // The manager waits for READY=1, also if the configuration is refused.
    manager_.tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", telemetry::monotonic_ns() / 1000));
    ready_told_ = false;
    Reloaded reloaded;
    if (config_.reload) reloaded = config_.reload();
    if (!reloaded.refusal.empty()) return {Roster::Refusal::refused, reloaded.refusal};
    if (reloaded.workers && *reloaded.workers != roster_.target()) {
        const Roster::Verdict verdict = scale(reason, *reloaded.workers, reloaded.workers_origin);
        if (verdict.refusal != Roster::Refusal::none)
            journal_.say(Severity::warning, "command_refused", fmt::format("{} ({})", verdict.text, reason));
    }
    Roster::Verdict verdict = roster_.cycle_all(reason);
    if (!reloaded.text.empty()) verdict.text = reloaded.text + " " + verdict.text;
    return verdict;
}

void Arbiter::tell_manager(std::uint64_t now) {
    if (!manager_.present()) return;
    manager_.beat(now);
    if (stopping_) return;
    const unsigned serving = roster_.serving();
    const bool degraded = segment_.group().degraded.load(std::memory_order_relaxed) != 0;
    if (!ready_told_ && serving >= roster_.target() && roster_.settled()) {
        manager_.tell("READY=1");
        ready_told_ = true;
    }
    manager_.status(fmt::format("{} of {} workers serve{}", serving, roster_.target(),
                                degraded ? "; others keep failing soon after their start" : ""));
}

Roster::Verdict Arbiter::scale(const std::string& reason, unsigned workers, const std::string& origin) {
    Roster::Verdict verdict = roster_.scale(workers, reason);
    if (verdict.refusal != Roster::Refusal::none) return verdict;
    telemetry::note_setting(segment_, "workers", std::to_string(roster_.target()), origin);
    scaling_.somebody_scaled(now_);
    return verdict;
}

void Arbiter::scale_by_signal(const std::string& signal, unsigned workers) {
    const Roster::Verdict verdict = scale(signal, workers, "signal " + signal);
    if (verdict.refusal != Roster::Refusal::none)
        journal_.say(Severity::warning, "command_refused", fmt::format("{} ({})", verdict.text, signal));
}

void Arbiter::begin_stop(bool at_once) {
    upgrade_.give_up("the group stops", telemetry::monotonic_ns());
    stopping_ = true;
    manager_.tell(at_once ? "STOPPING=1\nSTATUS=The workers are stopped at once"
                          : "STOPPING=1\nSTATUS=The workers drain");
    journal_.say(Severity::info, "group_stopping",
                 at_once ? "The workers are stopped at once." : "The workers drain.");
    roster_.stop(at_once, now_);
}

void Arbiter::reap() {
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        const std::string last_words = captured_.finish(pid);
        if (upgrade_.reaped(pid, status, now_))
            note_upgrade_failed();
        else if (!agent_.reaped(pid, status, now_, last_words))
            roster_.reaped(pid, status, now_, last_words);
    }
}

void Arbiter::handle_commands() {
    while (const auto command = agent_.receive())
        agent_.answer(execute(*command));
}

/// Which role may set what is the agent's business; type and range are ours.
Answer Arbiter::set(const Command& command) {
    const std::string origin = origin_of(command);
    const telemetry::Change change =
        telemetry::change_tunable(segment_, command.setting, command.setting_type, command.value, origin);
    Answer answer;
    answer.id = command.id;
    answer.outcome = change.refusal.empty() ? Outcome::accepted : Outcome::refused;
    const std::string text = change.refusal.empty()
                                 ? fmt::format("{}: {} before, {} now", change.name, change.from, change.to)
                                 : change.refusal;
    std::strncpy(answer.text, text.c_str(), sizeof answer.text - 1);
    if (change.refusal.empty())
        journal_.say(Severity::info, "setting_changed", fmt::format("{}, set by {}.", text, origin));
    else
        journal_.say(Severity::warning, "command_refused",
                     fmt::format("{} (asked for by {})", text, command.principal));
    return answer;
}

Answer Arbiter::execute(const Command& command) {
    if (command.operation == Operation::set) return set(command);
    const std::string reason = fmt::format("asked for by {}", command.principal);
    Answer answer;
    answer.id = command.id;
    answer.from_workers = roster_.target();
    Roster::Verdict verdict{Roster::Refusal::refused, "The arbiter does not know this operation."};
    switch (command.operation) {
        case Operation::cycle_worker:
            verdict = roster_.cycle(command.slot, command.generation, reason);
            break;
        case Operation::cycle_group:
            verdict = roster_.cycle_all(reason);
            break;
        case Operation::reload:
            verdict = reload(reason);
            break;
        case Operation::scale:
            verdict = scale(reason, command.workers, origin_of(command));
            break;
        case Operation::keep_worker:
            verdict = roster_.keep(command.slot, command.generation, reason);
            break;
        case Operation::upgrade:
            verdict = begin_upgrade(reason);
            break;
        case Operation::set:
            break;  // has been dealt with
    }
    switch (verdict.refusal) {
        case Roster::Refusal::none:
            answer.outcome = Outcome::accepted;
            break;
        case Roster::Refusal::stale:
            answer.outcome = Outcome::stale;
            break;
        case Roster::Refusal::refused:
            answer.outcome = Outcome::refused;
            break;
    }
    answer.to_workers = roster_.target();
    std::strncpy(answer.text, verdict.text.c_str(), sizeof answer.text - 1);
    const bool accepted = answer.outcome == Outcome::accepted;
    const bool keep = command.operation == Operation::keep_worker;
    const bool says_so_itself =
        command.operation == Operation::scale || command.operation == Operation::upgrade;
    if (!says_so_itself || !accepted)
        journal_.say(accepted ? Severity::info : Severity::warning,
                     !accepted ? "command_refused"
                     : keep    ? "keep_requested"
                               : "cycle_requested",
                     fmt::format("{} ({})", verdict.text, reason), 0, command.generation);
    return answer;
}

}  // namespace signalbox::supervisor
