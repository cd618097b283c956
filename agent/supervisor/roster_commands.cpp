// What is asked of the roster from outside, and why it may be refused.
#include <fmt/format.h>
#include <signal.h>

#include "agent/supervisor/roster.hpp"

namespace signalbox::supervisor {

Roster::Verdict Roster::cycle(unsigned slot, std::uint64_t generation, const std::string& reason) {
    if (stopping_) return {Refusal::refused, "The group is stopping."};
    if (slot >= slots_.size()) return {Refusal::refused, fmt::format("There is no worker {}.", slot)};
    note_phases(telemetry::monotonic_ns());
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
    enqueue({slot, generation, reason, true});
    return {
        Refusal::none,
        fmt::format("Worker {}: the replacement of generation {} starts; once it is ready, pid {} drains.",
                    slot, generation, serving->pid)};
}

Roster::Verdict Roster::cycle_all(const std::string& reason) {
    if (stopping_) return {Refusal::refused, "The group is stopping."};
    note_phases(telemetry::monotonic_ns());
    unsigned count = 0;
    for (unsigned slot = 0; slot < target_; ++slot) {
        const Worker* worker = find(slot, Role::serving);
        if (!worker || slots_[slot].cycling || is_queued(slot)) continue;
        enqueue({slot, worker->generation, reason, true});
        ++count;
    }
    return {Refusal::none, fmt::format("{} workers are cycled one after another.", count)};
}

Roster::Verdict Roster::keep(unsigned slot, std::uint64_t generation, const std::string& reason) {
    if (stopping_) return {Refusal::refused, "The group is stopping."};
    if (slot >= slots_.size()) return {Refusal::refused, fmt::format("There is no worker {}.", slot)};
    if (slot >= target_)
        return {Refusal::refused, fmt::format("Worker {} ends because there are {} now: scale to {} instead.",
                                              slot, target_, slot + 1)};
    note_phases(telemetry::monotonic_ns());
    Worker* worker = nullptr;
    for (unsigned side = 0; side < 2; ++side)
        if (at(slot, side).role != Role::vacant && at(slot, side).generation == generation)
            worker = &at(slot, side);
    if (!worker)
        return {Refusal::stale, fmt::format("Generation {} of worker {} has ended.", generation, slot)};
    const bool serving = worker->role == Role::serving && (slots_[slot].cycling || is_queued(slot));
    const bool draining = worker->role == Role::leaving && worker->draining && !worker->killed;
    if (!serving && !draining)
        return {Refusal::refused,
                fmt::format("Generation {} of worker {} is {}: there is nothing to take back.", generation,
                            slot, worker->role == Role::leaving ? "being ended" : "not being cycled")};
    if (worker->resuming)
        return {Refusal::refused,
                fmt::format("Generation {} of worker {} is kept already.", generation, slot)};
    if (worker->loop.wedged)
        return {Refusal::refused,
                fmt::format("The event loop of worker {} is wedged: it cannot serve.", slot)};
    if (const auto breach = breach_of(*worker, telemetry::monotonic_ns()))
        return {Refusal::refused, fmt::format("Worker {} would be cycled again: {}. Raise {} first.", slot,
                                              breach->text, breach->setting)};
    if (draining) {
        worker->resume_reason = reason;
        worker->resuming = true;
        return {Refusal::none,
                fmt::format("Worker {}: generation {} (pid {}) is told to go on serving; once it does, its "
                            "successor drains.",
                            slot, generation, worker->pid)};
    }
    unqueue(slot);
    slots_[slot].cycling = false;
    if (Worker* successor = find(slot, Role::starting))
        dismiss(*successor, SIGTERM, telemetry::monotonic_ns(), "its predecessor is kept");
    say(wire::Severity::info, "worker_kept", *worker,
        fmt::format("{} goes on serving: {}.", name(*worker), reason));
    return {Refusal::none,
            fmt::format("Worker {}: generation {} (pid {}) is kept.", slot, generation, worker->pid)};
}

Roster::Verdict Roster::scale(unsigned workers, const std::string& reason) {
    if (stopping_) return {Refusal::refused, "The group is stopping."};
    if (workers < 1 || workers > slots_.size())
        return {Refusal::refused, fmt::format("{} workers: give 1 to {}.", workers, slots_.size())};
    journal_.say(wire::Severity::info, "group_scaled",
                 fmt::format("From {} to {} workers: {}.", target_, workers, reason));
    Verdict verdict{Refusal::none, fmt::format("From {} to {} workers.", target_, workers)};
    target_ = workers;
    return verdict;
}

}  // namespace signalbox::supervisor
