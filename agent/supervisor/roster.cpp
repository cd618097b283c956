#include "agent/supervisor/roster.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/supervisor/exit_reason.hpp"
#include "agent/supervisor/process.hpp"
#include "agent/supervisor/spread.hpp"
#include "agent/telemetry/crash_record.hpp"
#include "agent/telemetry/retire.hpp"
#include "agent/telemetry/stack_reporter.hpp"

namespace signalbox::supervisor {
namespace {

using telemetry::Phase;
using wire::Severity;

constexpr std::uint64_t kMillisecond = 1'000'000;
/// What a worker may take beyond its drain deadline before it is killed.
constexpr std::uint64_t kKillGrace = 2'000 * kMillisecond;
constexpr std::chrono::seconds kLongestBackOff{60};
/// While nobody serves, trying again is worth more.
constexpr std::chrono::seconds kLongestBackOffWithoutAny{5};
/// So many failed starts in a row make the group degraded.
constexpr unsigned kDegradedFrom = 3;
/// Every so many rounds of looking at heartbeats, the arbiter looks at memory and the like.
constexpr unsigned kRoundsPerLimits = 5;

std::uint64_t nanoseconds(std::chrono::nanoseconds duration) {
    return static_cast<std::uint64_t>(duration.count());
}

/// Some number that no other group has.
std::uint64_t seed_of(const telemetry::Segment& segment) {
    std::uint64_t seed = 0;
    std::memcpy(&seed, segment.header().boot_id, sizeof seed);
    return seed;
}

}  // namespace

Roster::Roster(telemetry::Segment& segment, const Journal& journal, RosterConfig config)
    : segment_(segment),
      journal_(journal),
      config_(std::move(config)),
      watch_(segment, journal, config_.loops),
      seed_(seed_of(segment)),
      target_(config_.workers),
      workers_(2 * std::size_t{config_.max_workers}),
      slots_(config_.max_workers) {
    for (unsigned seat = 0; seat < workers_.size(); ++seat)
        workers_[seat].seat = seat;
    publish();
}

std::string Roster::name(const Worker& worker) const {
    return fmt::format("worker {} (pid {}, generation {})", worker.seat / 2, worker.pid, worker.generation);
}

void Roster::say(Severity severity, std::string_view event, const Worker& worker,
                 const std::string& text) const {
    journal_.say(severity, event, text, static_cast<std::uint32_t>(worker.pid), worker.generation);
}

double Roster::jitter_of(std::uint64_t generation) const {
    return spread(seed_, generation);
}

Roster::Worker* Roster::find(unsigned slot, Role role) {
    for (unsigned side = 0; side < 2; ++side)
        if (at(slot, side).role == role) return &at(slot, side);
    return nullptr;
}

bool Roster::empty() const {
    return std::all_of(workers_.begin(), workers_.end(),
                       [](const Worker& w) { return w.role == Role::vacant; });
}

void Roster::maintain(std::uint64_t now) {
    if (!stopping_) begin_queued_cycle();
    note_phases(now);
    for (unsigned slot = 0; slot < slots_.size(); ++slot)
        maintain_slot(slot, now);
    publish();
}

void Roster::maintain_slot(unsigned slot, std::uint64_t now) {
    for (unsigned side = 0; side < 2; ++side)
        if (at(slot, side).role != Role::vacant) enforce_deadline(at(slot, side), now);
    Worker* serving = find(slot, Role::serving);
    Worker* starting = find(slot, Role::starting);
    if (stopping_ || slot >= target_) {
        slots_[slot].cycling = false;
        for (Worker* surplus : {serving, starting})
            if (surplus) dismiss(*surplus, SIGTERM, now, "the group has fewer workers now");
        return;
    }
    if (!starting && (!serving || slots_[slot].cycling) && now >= slots_[slot].not_before_ns)
        start(slot, now);
}

void Roster::note_phases(std::uint64_t now) {
    for (Worker& worker : workers_) {
        if (worker.role == Role::starting) note_ready(worker, now);
        if (worker.resuming) note_resumed(worker, now);
    }
}

void Roster::note_ready(Worker& worker, std::uint64_t now) {
    const auto phase = static_cast<Phase>(segment_.seat(worker.seat)->phase.load(std::memory_order_acquire));
    if (phase != Phase::ready) return;
    const unsigned slot = worker.seat / 2;
    say(Severity::info, "worker_ready", worker,
        fmt::format("{} is ready after {} ms.", name(worker), (now - worker.started_ns) / kMillisecond));
    if (Worker* predecessor = find(slot, Role::serving)) {
        if (predecessor->loop.wedged && watch_.lateness(predecessor->seat, now) > 0)
            abort(*predecessor, now);
        else
            dismiss(*predecessor, SIGTERM, now, slots_[slot].reason);
    }
    worker.role = Role::serving;
    worker.kill_at_ns = 0;
    sample_memory(worker);
    slots_[slot].cycling = false;
}

void Roster::dismiss(Worker& worker, int signal, std::uint64_t now, std::string_view why) {
    worker.role = Role::leaving;
    worker.draining = signal == SIGTERM;
    worker.resuming = worker.resume_told = false;
    const std::uint64_t patience =
        worker.draining ? nanoseconds(config_.drain_deadline.get()) + kKillGrace : kKillGrace;
    worker.kill_at_ns = now + patience;
    say(Severity::info, worker.draining ? "worker_draining" : "worker_stopping", worker,
        fmt::format("{} is told to {}: {}.", name(worker), worker.draining ? "drain" : "stop", why));
    ::kill(worker.pid, signal);
}

/// It would not hear anything gentler; its crash handler keeps the stack that it is stuck in. One that is stopped gets
/// to that when it goes on, before anything else.
void Roster::abort(Worker& worker, std::uint64_t now) {
    worker.role = Role::leaving;
    worker.draining = false;
    worker.kill_at_ns = now + kKillGrace;
    say(Severity::error, "worker_aborted", worker,
        fmt::format("{} is still stuck and is ended by SIGABRT, which keeps its stack.", name(worker)));
    telemetry::end_with_stack(worker.pid);
    ::kill(worker.pid, SIGCONT);
}

/// The worker is told by a number that changes, not by a signal, and only when it says that it drains: a word that
/// overtook SIGTERM would be lost. It is repeated until the worker says that it is ready, or has ended.
void Roster::note_resumed(Worker& worker, std::uint64_t now) {
    telemetry::Seat& seat = *segment_.seat(worker.seat);
    const auto phase = static_cast<Phase>(seat.phase.load(std::memory_order_acquire));
    if (phase == Phase::draining) {
        seat.resumptions.fetch_add(1, std::memory_order_release);
        worker.resume_told = true;
    }
    if (phase != Phase::ready || !worker.resume_told) return;
    worker.resuming = false;
    worker.draining = false;
    say(Severity::info, "worker_kept", worker,
        fmt::format("{} goes on serving: {}.", name(worker), worker.resume_reason));
    const unsigned slot = worker.seat / 2;
    for (const Role role : {Role::serving, Role::starting})
        if (Worker* successor = find(slot, role))
            dismiss(*successor, SIGTERM, now, "its predecessor is kept");
    worker.role = Role::serving;
    worker.kill_at_ns = 0;
    slots_[slot].cycling = false;
}

void Roster::enforce_deadline(Worker& worker, std::uint64_t now) {
    if (worker.kill_at_ns == 0 || now < worker.kill_at_ns || worker.killed) return;
    const char* what = worker.role == Role::starting ? "was not ready in time" : "did not finish in time";
    say(Severity::error, "worker_killed", worker, fmt::format("{} {} and is killed.", name(worker), what));
    ::kill(worker.pid, SIGKILL);
    worker.killed = true;
}

void Roster::start(unsigned slot, std::uint64_t now) {
    // The other side than last time: the departed one's event ring stays readable the longer.
    const unsigned preferred = slots_[slot].last_side ^ 1u;
    unsigned side = preferred;
    if (at(slot, side).role != Role::vacant) side ^= 1u;
    if (at(slot, side).role != Role::vacant) return;  // one leaves, one serves: when the former is gone
    Worker& worker = at(slot, side);
    telemetry::Seat& seat = *segment_.seat(worker.seat);
    const std::uint64_t generation = ++last_generation_;
    seat.slot.store(slot, std::memory_order_relaxed);
    seat.generation.store(generation, std::memory_order_relaxed);
    seat.started_monotonic_ns.store(now, std::memory_order_relaxed);
    seat.heartbeat_monotonic_ns.store(now, std::memory_order_relaxed);
    seat.turn_began_ns.store(0, std::memory_order_relaxed);
    seat.late_us.store(0, std::memory_order_relaxed);
    seat.phase.store(static_cast<std::uint32_t>(Phase::starting), std::memory_order_release);
    segment_.group().last_generation.store(generation, std::memory_order_relaxed);

    const pid_t pid = config_.fork_worker(worker.seat);
    if (pid < 0) {
        journal_.say(Severity::error, "fork_failed",
                     fmt::format("Cannot fork a process for worker {}: {}.", slot, std::strerror(errno)));
        telemetry::retire_seat(segment_, worker.seat);
        back_off(slot, now);
        return;
    }
    seat.pid.store(static_cast<std::uint32_t>(pid), std::memory_order_release);
    const unsigned own_seat = worker.seat;
    worker = {};
    worker.role = Role::starting;
    worker.pid = pid;
    worker.seat = own_seat;
    worker.generation = generation;
    worker.started_ns = now;
    worker.kill_at_ns = now + nanoseconds(config_.start_deadline.get());
    slots_[slot].last_side = side;
    say(Severity::info, "worker_starting", worker, fmt::format("{} starts.", name(worker)));
}

bool Roster::reaped(pid_t pid, int wait_status, std::uint64_t now, const std::string& last_words) {
    const auto found = std::find_if(workers_.begin(), workers_.end(), [pid](const Worker& worker) {
        return worker.role != Role::vacant && worker.pid == pid;
    });
    if (found == workers_.end()) return false;
    Worker& worker = *found;
    const unsigned slot = worker.seat / 2;
    const bool expected = worker.role == Role::leaving && !worker.killed;
    const bool fault = is_own_fault(wait_status);
    const bool early =
        worker.role == Role::starting || now - worker.started_ns < nanoseconds(config_.proven_after);
    const std::string words = last_words.empty() ? "" : fmt::format(" Its last words: {:.160}", last_words);
    say(expected && !fault ? Severity::info : Severity::error, expected ? "worker_exited" : "worker_died",
        worker,
        fmt::format("{} ended: {}.{}{}", name(worker), describe_exit(wait_status),
                    worker.resuming ? " It had finished before it could be kept; its successor serves." : "",
                    words));
    if (const auto crash = telemetry::keep_crash(segment_, worker.seat, worker.generation))
        say(Severity::error, "worker_crashed", worker,
            fmt::format("{} crashed: {}.", name(worker), telemetry::describe(*crash)));
    const bool killed_late = worker.role == Role::starting && worker.killed;
    const bool leaving = worker.role == Role::leaving;
    if (config_.ended) config_.ended(worker.seat);
    telemetry::retire_seat(segment_, worker.seat);
    const unsigned seat = worker.seat;
    worker = {};
    worker.seat = seat;
    if (!leaving && early && (fault || killed_late)) back_off(slot, now);
    return true;
}

void Roster::back_off(unsigned slot, std::uint64_t now) {
    Slot& state = slots_[slot];
    const std::uint64_t wait = nanoseconds(state.starts.failed(
        spread(seed_, ++back_offs_), serving() > 0 ? kLongestBackOff : kLongestBackOffWithoutAny));
    state.not_before_ns = now + wait;
    const unsigned failures = state.starts.failures();
    journal_.say(
        Severity::warning, "worker_backs_off",
        fmt::format("Worker {} failed {} in a row soon after its start; the next try is in {} ms.", slot,
                    failures == 1 ? "once" : fmt::format("{} times", failures), wait / kMillisecond));
}

std::uint64_t Roster::sample_memory(const Worker& worker) {
    const std::uint64_t resident = resident_bytes(worker.pid);
    segment_.seat(worker.seat)->resident_bytes.store(resident, std::memory_order_relaxed);
    return resident;
}

void Roster::sample(std::uint64_t now) {
    watch_.begin_round(now);
    const bool look_at_limits = rounds_++ % kRoundsPerLimits == 0;
    for (Worker& worker : workers_) {
        if (worker.role == Role::vacant) continue;
        if (worker.role != Role::starting) watch_loop(worker, now);
        if (!look_at_limits) continue;
        sample_memory(worker);
        if (worker.role != Role::serving) continue;
        if (now - worker.started_ns > nanoseconds(config_.proven_after))
            slots_[worker.seat / 2].starts.succeeded();
        enforce_limits(worker, now);
    }
}

void Roster::watch_loop(Worker& worker, std::uint64_t now) {
    const std::string its_name = name(worker);
    const bool wedged = watch_.look(worker.loop, {worker.pid, worker.seat, worker.generation, its_name},
                                    config_.limits.lag.get(), now);
    if (!wedged || worker.role != Role::serving || stopping_) return;
    // Not voluntary, so it waits for nobody's turn.
    const unsigned slot = worker.seat / 2;
    unqueue(slot);
    slots_[slot].cycling = true;
    slots_[slot].reason = "its event loop was wedged";
}

std::optional<Breach> Roster::breach_of(const Worker& worker, std::uint64_t now) const {
    const telemetry::Seat& seat = *segment_.seat(worker.seat);
    return find_breach(config_.limits,
                       {.resident_bytes = seat.resident_bytes.load(std::memory_order_relaxed),
                        .open_files = seat.open_files.load(std::memory_order_relaxed),
                        .requests = seat.requests.load(std::memory_order_relaxed),
                        .age = std::chrono::seconds((now - worker.started_ns) / (1'000 * kMillisecond)),
                        .late_turns = worker.loop.late_turns.recent(now),
                        .jitter = jitter_of(worker.generation)});
}

void Roster::enforce_limits(Worker& worker, std::uint64_t now) {
    const unsigned slot = worker.seat / 2;
    Slot& state = slots_[slot];
    if (stopping_ || slot >= target_ || state.cycling || is_queued(slot) || now < state.no_breach_before_ns)
        return;
    const std::optional<Breach> breach = breach_of(worker, now);
    if (!breach) return;
    std::string advice;
    if (breach->may_stay && now - worker.started_ns < nanoseconds(config_.proven_after)) {
        const auto wait = state.breaches.failed(jitter_of(worker.generation), kLongestBackOff);
        state.no_breach_before_ns = now + nanoseconds(wait);
        if (state.breaches.failures() > 1)
            advice = fmt::format(
                " It is {} times in a row that this comes soon after the start: {} may be too low, and "
                "the next worker gets {} ms.",
                state.breaches.failures(), breach->setting, wait.count() / 1'000'000);
    } else {
        state.breaches.succeeded();
    }
    say(Severity::warning, breach->event, worker,
        fmt::format("{} is cycled: {}.{}", name(worker), breach->text, advice));
    enqueue({slot, worker.generation, breach->text, false});
}

bool Roster::is_queued(unsigned slot) const {
    return std::any_of(queue_.begin(), queue_.end(),
                       [slot](const Request& request) { return request.slot == slot; });
}

void Roster::enqueue(Request request) {
    const auto place = request.asked_for ? std::find_if(queue_.begin(), queue_.end(),
                                                        [](const Request& other) { return !other.asked_for; })
                                         : queue_.end();
    queue_.insert(place, std::move(request));
}

void Roster::unqueue(unsigned slot) {
    std::erase_if(queue_, [slot](const Request& request) { return request.slot == slot; });
}

/// Voluntary cycles take one worker in eight at a time, at least one, until its successor serves. What is wedged or dead
/// counts, but waits for nobody.
void Roster::begin_queued_cycle() {
    const unsigned budget = std::max(1u, target_ / 8);
    auto cycling = static_cast<unsigned>(std::count_if(slots_.begin(), slots_.begin() + target_,
                                                       [](const Slot& slot) { return slot.cycling; }));
    while (cycling < budget && !queue_.empty()) {
        const Request request = std::move(queue_.front());
        queue_.pop_front();
        const Worker* worker = request.slot < target_ ? find(request.slot, Role::serving) : nullptr;
        if (!worker || worker->generation != request.generation)
            continue;  // replaced meanwhile: nothing left to do
        slots_[request.slot].cycling = true;
        slots_[request.slot].reason = request.reason;
        ++cycling;
    }
}

unsigned Roster::serving() const {
    return static_cast<unsigned>(std::count_if(
        workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.role == Role::serving; }));
}

void Roster::for_each_serving(const std::function<void(pid_t pid, unsigned seat)>& function) const {
    for (const Worker& worker : workers_)
        if (worker.role == Role::serving) function(worker.pid, worker.seat);
}

bool Roster::settled() const {
    return queue_.empty() &&
           std::none_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.cycling; });
}

void Roster::forward(int signal) {
    for (const Worker& worker : workers_)
        if (worker.role != Role::vacant) ::kill(worker.pid, signal);
}

void Roster::stop(bool at_once, std::uint64_t now) {
    stopping_ = true;
    queue_.clear();
    if (!at_once) return;
    for (Worker& worker : workers_)
        if (worker.role != Role::vacant) dismiss(worker, SIGQUIT, now, "the group stops at once");
}

std::uint64_t Roster::next_deadline(std::uint64_t now) const {
    std::uint64_t next = UINT64_MAX;
    for (const Worker& worker : workers_)
        if (worker.role != Role::vacant && worker.kill_at_ns != 0 && !worker.killed)
            next = std::min(next, worker.kill_at_ns);
    for (unsigned slot = 0; slot < target_; ++slot)
        if (slots_[slot].not_before_ns > now) next = std::min(next, slots_[slot].not_before_ns);
    return next;
}

void Roster::publish() {
    telemetry::Group& group = segment_.group();
    group.target_workers.store(target_, std::memory_order_relaxed);
    const auto failing = std::count_if(slots_.begin(), slots_.begin() + target_, [](const Slot& slot) {
        return slot.starts.failures() >= kDegradedFrom;
    });
    if (degraded_ == (failing > 0)) return;
    degraded_ = failing > 0;
    group.degraded.store(degraded_ ? 1 : 0, std::memory_order_relaxed);
    journal_.say(
        degraded_ ? Severity::error : Severity::info, degraded_ ? "group_degraded" : "group_recovered",
        degraded_ ? fmt::format("Worker processes keep failing soon after their start; {} of {} serve. The "
                                "events worker_died and worker_crashed say why.",
                                serving(), target_)
                  : "No worker fails soon after its start any more.");
}

}  // namespace signalbox::supervisor
