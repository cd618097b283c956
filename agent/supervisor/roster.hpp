// The workers: which slot has whom, who is starting, serving or leaving, and what has to happen next.
//
// One function, maintain(), compares what is with what is wanted and takes the steps that are due: it starts
// what is missing, tells predecessors to drain once their successors are ready, kills what has passed a
// deadline. Everything else only changes what is wanted. A slot has two seats, so it has at most a worker and
// one that is starting or leaving.
//
// Should the arbiter die at any point of this, the kernel tells its children (see fork_child), which drain and end: no
// step leaves anything behind that a later one has to clean up.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/supervisor/back_off.hpp"
#include "agent/supervisor/journal.hpp"
#include "agent/supervisor/limits.hpp"
#include "agent/supervisor/loop_watch.hpp"
#include "agent/telemetry/seat.hpp"
#include "signalbox/group.hpp"

namespace signalbox::supervisor {

struct RosterConfig {
    unsigned workers = 2;
    unsigned max_workers = 64;
    Limits limits{};
    LoopThresholds loops{};
    Tunable<std::chrono::milliseconds> drain_deadline{std::chrono::seconds(10)};
    Tunable<std::chrono::milliseconds> start_deadline{std::chrono::seconds(30)};
    /// A worker that lived this long was not a failed start, and what it passes a limit with it has gathered.
    std::chrono::milliseconds proven_after{10'000};
    /// Forks a worker into `seat`; its pid, or -1.
    std::function<pid_t(unsigned seat)> fork_worker{};
    /// A worker has ended; what it had counted is still in its seat. May be empty.
    std::function<void(unsigned seat)> ended{};
};

class Roster {
public:
    Roster(telemetry::Segment& segment, const Journal& journal, RosterConfig config);

    /// Takes every step that is due at `now` (CLOCK_MONOTONIC ns).
    void maintain(std::uint64_t now);
    /// When maintain() has to be called at the latest, unless something happens before.
    std::uint64_t next_deadline(std::uint64_t now) const;
    /// Looks at heartbeats, and at every fifth call at what has limits; every 50 ms.
    void sample(std::uint64_t now);

    /// A child has ended. False if it is not a worker.
    bool reaped(pid_t pid, int wait_status, std::uint64_t now);

    /// Nothing if accepted, otherwise why not.
    enum class Refusal { none, stale, refused };
    struct Verdict {
        Refusal refusal = Refusal::none;
        std::string text;
    };
    Verdict cycle(unsigned slot, std::uint64_t generation, const std::string& reason);
    /// All workers, one after another.
    Verdict cycle_all(const std::string& reason);
    /// Takes back a cycle: the worker goes on serving, and its successor, if there is one already, drains instead. Until
    /// the worker has ended.
    Verdict keep(unsigned slot, std::uint64_t generation, const std::string& reason);
    Verdict scale(unsigned workers, const std::string& reason);

    /// How many workers serve.
    unsigned serving() const;
    /// No cycle is under way or waits for its turn.
    bool settled() const;
    unsigned target() const { return target_; }
    /// Sends a signal to all workers.
    void forward(int signal);
    /// No more workers; those there are drain, or quit at once.
    void stop(bool at_once, std::uint64_t now);
    bool empty() const;

private:
    enum class Role { vacant, starting, serving, leaving };
    struct Worker {
        Role role = Role::vacant;
        pid_t pid = 0;
        unsigned seat = 0;
        std::uint64_t generation = 0;
        std::uint64_t started_ns = 0;
        std::uint64_t kill_at_ns = 0;  ///< 0: no deadline
        bool killed = false;
        bool draining = false;     ///< leaving, by SIGTERM
        bool resuming = false;     ///< leaving, but to go on serving …
        bool resume_told = false;  ///< … which it has been told, after it had begun to drain
        std::string resume_reason;
        Loop loop;
    };
    struct Slot {
        unsigned last_side = 1;
        BackOff starts{kFirstBackOff};    ///< of workers that ended early by their own fault
        std::uint64_t not_before_ns = 0;  ///< the next start
        BackOff breaches{
            kFirstBreachBackOff};  ///< of workers that were beyond a limit soon after their start
        std::uint64_t no_breach_before_ns = 0;  ///< limits are not looked at until then
        bool cycling = false;                   ///< a successor is wanted; cleared when it has taken over
        std::string reason;
    };
    struct Request {
        unsigned slot;
        std::uint64_t generation;
        std::string reason;
        bool asked_for;  ///< by somebody: goes before what limits want
    };
    static constexpr std::chrono::milliseconds kFirstBackOff{100};
    static constexpr std::chrono::milliseconds kFirstBreachBackOff{1'000};

    Worker& at(unsigned slot, unsigned side) { return workers_[2 * slot + side]; }
    Worker* find(unsigned slot, Role role);
    void maintain_slot(unsigned slot, std::uint64_t now);
    void begin_queued_cycle();
    bool is_queued(unsigned slot) const;
    void enqueue(Request request);
    void unqueue(unsigned slot);
    void abort(Worker& worker, std::uint64_t now);
    void start(unsigned slot, std::uint64_t now);
    /// What the workers say of themselves. Whoever asks for something may have seen it before this process has, so it
    /// goes before every command on workers.
    void note_phases(std::uint64_t now);
    void note_ready(Worker& worker, std::uint64_t now);
    void note_resumed(Worker& worker, std::uint64_t now);
    void dismiss(Worker& worker, int signal, std::uint64_t now, std::string_view why);
    void enforce_deadline(Worker& worker, std::uint64_t now);
    void watch_loop(Worker& worker, std::uint64_t now);
    std::uint64_t sample_memory(const Worker& worker);
    std::optional<Breach> breach_of(const Worker& worker, std::uint64_t now) const;
    void enforce_limits(Worker& worker, std::uint64_t now);
    double jitter_of(std::uint64_t generation) const;
    void back_off(unsigned slot, std::uint64_t now);
    void publish();
    void say(wire::Severity severity, std::string_view event, const Worker& worker,
             const std::string& text) const;
    std::string name(const Worker& worker) const;

    telemetry::Segment& segment_;
    const Journal& journal_;
    RosterConfig config_;
    LoopWatch watch_;
    std::uint64_t seed_;  ///< of all jitter
    std::uint64_t back_offs_ = 0;
    unsigned rounds_ = 0;
    bool degraded_ = false;
    unsigned target_;
    bool stopping_ = false;
    std::uint64_t last_generation_ = 0;
    std::vector<Worker> workers_;  ///< by seat
    std::vector<Slot> slots_;
    std::deque<Request> queue_;  ///< voluntary cycles that wait for their turn
};

}  // namespace signalbox::supervisor
