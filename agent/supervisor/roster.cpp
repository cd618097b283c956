#include "agent/supervisor/roster.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/supervisor/exit_reason.hpp"
#include "agent/supervisor/process.hpp"
#include "agent/telemetry/crash_record.hpp"
#include "agent/telemetry/retire.hpp"

namespace signalbox::supervisor {
namespace {

using telemetry::Phase;
using wire::Severity;

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kStallAfter = 500 * kMillisecond;
/// What a worker may take beyond its drain deadline before it is killed.
constexpr std::uint64_t kKillGrace = 2'000 * kMillisecond;
/// A worker that lived this long was not a failed start.
constexpr std::uint64_t kLongEnough = 1'000 * kMillisecond;
constexpr std::uint64_t kFirstBackOff = 100 * kMillisecond;
constexpr std::uint64_t kLongestBackOff = 60'000 * kMillisecond;
/// So many failed starts in a row make the group degraded.
constexpr unsigned kDegradedFrom = 3;

std::uint64_t nanoseconds(std::chrono::milliseconds duration) {
    return static_cast<std::uint64_t>(duration.count()) * kMillisecond;
}

}  // namespace

Roster::Roster(telemetry::Segment& segment, const Journal& journal, RosterConfig config)
    : segment_(segment),
      journal_(journal),
      config_(std::move(config)),
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
    for (unsigned slot = 0; slot < slots_.size(); ++slot)
        maintain_slot(slot, now);
    publish();
}

void Roster::maintain_slot(unsigned slot, std::uint64_t now) {
    for (unsigned side = 0; side < 2; ++side) {
        Worker& worker = at(slot, side);
        if (worker.role == Role::starting) note_ready(worker, now);
        if (worker.role != Role::vacant) enforce_deadline(worker, now);
    }
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

void Roster::note_ready(Worker& worker, std::uint64_t now) {
    const auto phase = static_cast<Phase>(segment_.seat(worker.seat)->phase.load(std::memory_order_acquire));
    if (phase != Phase::ready) return;
    const unsigned slot = worker.seat / 2;
    journal_.say(
        Severity::info, "worker_ready",
        fmt::format("{} is ready after {} ms.", name(worker), (now - worker.started_ns) / kMillisecond),
        static_cast<std::uint32_t>(worker.pid), worker.generation);
    if (Worker* predecessor = find(slot, Role::serving))
        dismiss(*predecessor, SIGTERM, now, slots_[slot].reason);
    worker.role = Role::serving;
    worker.kill_at_ns = 0;
    sample_memory(worker);
    slots_[slot].cycling = false;
}

void Roster::dismiss(Worker& worker, int signal, std::uint64_t now, std::string_view why) {
    worker.role = Role::leaving;
    const std::uint64_t patience =
        signal == SIGTERM ? nanoseconds(config_.drain_deadline.get()) + kKillGrace : kKillGrace;
    worker.kill_at_ns = now + patience;
    journal_.say(
        Severity::info, signal == SIGTERM ? "worker_draining" : "worker_stopping",
        fmt::format("{} is told to {}: {}.", name(worker), signal == SIGTERM ? "drain" : "stop", why),
        static_cast<std::uint32_t>(worker.pid), worker.generation);
    ::kill(worker.pid, signal);
}

void Roster::enforce_deadline(Worker& worker, std::uint64_t now) {
    if (worker.kill_at_ns == 0 || now < worker.kill_at_ns || worker.killed) return;
    const char* what = worker.role == Role::starting ? "was not ready in time" : "did not finish in time";
    journal_.say(Severity::error, "worker_killed", fmt::format("{} {} and is killed.", name(worker), what),
                 static_cast<std::uint32_t>(worker.pid), worker.generation);
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
    worker = {.role = Role::starting,
              .pid = pid,
              .seat = worker.seat,
              .generation = generation,
              .started_ns = now,
              .kill_at_ns = now + nanoseconds(config_.start_deadline.get())};
    slots_[slot].last_side = side;
    journal_.say(Severity::info, "worker_starting", fmt::format("{} starts.", name(worker)),
                 static_cast<std::uint32_t>(pid), generation);
}

bool Roster::reaped(pid_t pid, int wait_status, std::uint64_t now) {
    const auto found = std::find_if(workers_.begin(), workers_.end(), [pid](const Worker& worker) {
        return worker.role != Role::vacant && worker.pid == pid;
    });
    if (found == workers_.end()) return false;
    Worker& worker = *found;
    const unsigned slot = worker.seat / 2;
    const bool expected = worker.role == Role::leaving && !worker.killed;
    const bool fault = is_own_fault(wait_status);
    const bool early = worker.role == Role::starting || now - worker.started_ns < kLongEnough;
    journal_.say(expected && !fault ? Severity::info : Severity::error,
                 expected ? "worker_exited" : "worker_died",
                 fmt::format("{} ended: {}.", name(worker), describe_exit(wait_status)),
                 static_cast<std::uint32_t>(pid), worker.generation);
    if (const auto crash = telemetry::keep_crash(segment_, worker.seat, worker.generation))
        journal_.say(Severity::error, "worker_crashed",
                     fmt::format("{} crashed: {}.", name(worker), telemetry::describe(*crash)),
                     static_cast<std::uint32_t>(pid), worker.generation);
    if (worker.role != Role::leaving && fault && early) back_off(slot, now);
    telemetry::retire_seat(segment_, worker.seat);
    worker = {.seat = worker.seat};
    return true;
}

void Roster::back_off(unsigned slot, std::uint64_t now) {
    Slot& state = slots_[slot];
    const std::uint64_t wait = std::min(kFirstBackOff << std::min(state.failures, 20u), kLongestBackOff);
    ++state.failures;
    // Half of it is spread by the slot and the generation, so that slots which failed together do not retry
    // together.
    const std::uint64_t spread = (slot * 2654435761u + last_generation_ * 40503u) % 1000;
    state.not_before_ns = now + wait / 2 + wait / 2 * spread / 1000;
    journal_.say(Severity::warning, "worker_backs_off",
                 fmt::format("Worker {} failed to start {} times; the next try is in {} ms.", slot,
                             state.failures, (state.not_before_ns - now) / kMillisecond));
}

std::uint64_t Roster::sample_memory(const Worker& worker) {
    const std::uint64_t resident = resident_bytes(worker.pid);
    segment_.seat(worker.seat)->resident_bytes.store(resident, std::memory_order_relaxed);
    return resident;
}

void Roster::sample(std::uint64_t now) {
    for (Worker& worker : workers_) {
        if (worker.role == Role::vacant) continue;
        telemetry::Seat& seat = *segment_.seat(worker.seat);
        const std::uint64_t resident = sample_memory(worker);
        const std::uint64_t beat = seat.heartbeat_monotonic_ns.load(std::memory_order_relaxed);
        const bool stalled = worker.role != Role::starting && now > beat + kStallAfter;
        if (stalled != worker.stalled)
            journal_.say(stalled ? Severity::warning : Severity::info,
                         stalled ? "worker_stalled" : "worker_recovered",
                         fmt::format("{} {}.", name(worker),
                                     stalled ? "has not turned its event loop for 500 ms"
                                             : "turns its event loop again"),
                         static_cast<std::uint32_t>(worker.pid), worker.generation);
        worker.stalled = stalled;

        const unsigned slot = worker.seat / 2;
        if (worker.role == Role::serving && now - worker.started_ns > kLongEnough) slots_[slot].failures = 0;
        const auto limit = static_cast<std::uint64_t>(config_.memory_limit.get());
        if (limit > 0 && resident > limit && worker.role == Role::serving && !slots_[slot].cycling &&
            !is_queued(slot)) {
            journal_.say(Severity::warning, "memory_limit",
                         fmt::format("{} uses {} MiB, more than its limit of {} MiB; it is cycled.",
                                     name(worker), resident >> 20, limit >> 20),
                         static_cast<std::uint32_t>(worker.pid), worker.generation);
            queue_.push_back({slot, worker.generation, "its memory is above the limit"});
        }
    }
}

bool Roster::is_queued(unsigned slot) const {
    return std::any_of(queue_.begin(), queue_.end(),
                       [slot](const Request& request) { return request.slot == slot; });
}

void Roster::begin_queued_cycle() {
    // Voluntary cycles take one worker in eight at a time, at least one.
    const auto cycling = static_cast<unsigned>(
        std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.cycling; }));
    for (unsigned budget = std::max(1u, target_ / 8); budget > cycling && !queue_.empty(); --budget) {
        const Request request = queue_.front();
        queue_.pop_front();
        const Worker* worker = request.slot < target_ ? find(request.slot, Role::serving) : nullptr;
        if (!worker || worker->generation != request.generation)
            continue;  // replaced meanwhile: nothing left to do
        slots_[request.slot].cycling = true;
        slots_[request.slot].reason = request.reason;
    }
}

Roster::Verdict Roster::cycle(unsigned slot, std::uint64_t generation, const std::string& reason) {
    if (stopping_) return {Refusal::refused, "The group is stopping."};
    if (slot >= slots_.size()) return {Refusal::refused, fmt::format("There is no worker {}.", slot)};
    const Worker* serving = find(slot, Role::serving);
    const Worker* starting = find(slot, Role::starting);
    const Worker* leaving = find(slot, Role::leaving);
    if (leaving && leaving->generation == generation)
        return {Refusal::refused,
                fmt::format("Generation {} of worker {} is draining already.", generation, slot)};
    if (starting && starting->generation == generation)
        return {Refusal::refused,
                fmt::format("Generation {} of worker {} is still starting.", generation, slot)};
    if (!serving || serving->generation != generation)
        return {Refusal::stale, fmt::format("Worker {} is not generation {} any more.", slot, generation)};
    if (slots_[slot].cycling || is_queued(slot))
        return {Refusal::refused, fmt::format("Worker {} is being cycled already.", slot)};
    queue_.push_back({slot, generation, reason});
    return {
        Refusal::none,
        fmt::format("Worker {}: the replacement of generation {} starts; once it is ready, pid {} drains.",
                    slot, generation, serving->pid)};
}

Roster::Verdict Roster::cycle_all(const std::string& reason) {
    if (stopping_) return {Refusal::refused, "The group is stopping."};
    unsigned count = 0;
    for (unsigned slot = 0; slot < target_; ++slot) {
        const Worker* worker = find(slot, Role::serving);
        if (!worker || slots_[slot].cycling || is_queued(slot)) continue;
        queue_.push_back({slot, worker->generation, reason});
        ++count;
    }
    return {Refusal::none, fmt::format("{} workers are cycled one after another.", count)};
}

Roster::Verdict Roster::scale(unsigned workers, const std::string& reason) {
    if (stopping_) return {Refusal::refused, "The group is stopping."};
    if (workers < 1 || workers > slots_.size())
        return {Refusal::refused, fmt::format("{} workers: give 1 to {}.", workers, slots_.size())};
    journal_.say(Severity::info, "group_scaled",
                 fmt::format("From {} to {} workers: {}.", target_, workers, reason));
    Verdict verdict{Refusal::none, fmt::format("From {} to {} workers.", target_, workers)};
    target_ = workers;
    return verdict;
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
    const bool degraded = std::any_of(slots_.begin(), slots_.begin() + target_,
                                      [](const Slot& slot) { return slot.failures >= kDegradedFrom; });
    group.degraded.store(degraded ? 1 : 0, std::memory_order_relaxed);
}

}  // namespace signalbox::supervisor
