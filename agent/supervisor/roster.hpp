// The workers: which slot has whom, who is starting, serving or leaving, and what has to happen next.
//
// One function, maintain(), compares what is with what is wanted and takes the steps that are due: it starts
// what is missing, tells predecessors to drain once their successors are ready, kills what has passed a
// deadline. Everything else only changes what is wanted. A slot has two seats, so it has at most a worker and
// one that is starting or leaving.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/supervisor/journal.hpp"
#include "agent/telemetry/seat.hpp"
#include "signalbox/group.hpp"

namespace signalbox::supervisor {

struct RosterConfig {
    unsigned workers = 2;
    unsigned max_workers = 64;
    Tunable<Bytes> memory_limit{Bytes{0}};
    Tunable<std::chrono::milliseconds> drain_deadline{std::chrono::seconds(10)};
    Tunable<std::chrono::milliseconds> start_deadline{std::chrono::seconds(30)};
    /// Forks a worker into `seat`; its pid, or -1.
    std::function<pid_t(unsigned seat)> fork_worker{};
};

class Roster {
public:
    Roster(telemetry::Segment& segment, const Journal& journal, RosterConfig config);

    /// Takes every step that is due at `now` (CLOCK_MONOTONIC ns).
    void maintain(std::uint64_t now);
    /// When maintain() has to be called at the latest, unless something happens before.
    std::uint64_t next_deadline(std::uint64_t now) const;
    /// Looks at memory and heartbeats; every 250 ms.
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
    Verdict scale(unsigned workers, const std::string& reason);

    unsigned target() const { return target_; }
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
        bool stalled = false;
    };
    struct Slot {
        unsigned last_side = 1;
        unsigned failures = 0;            ///< in a row, of workers that ended early by their own fault
        std::uint64_t not_before_ns = 0;  ///< back-off
        bool cycling = false;             ///< a successor is wanted; cleared when it has taken over
        std::string reason;
    };
    struct Request {
        unsigned slot;
        std::uint64_t generation;
        std::string reason;
    };

    Worker& at(unsigned slot, unsigned side) { return workers_[2 * slot + side]; }
    Worker* find(unsigned slot, Role role);
    void maintain_slot(unsigned slot, std::uint64_t now);
    void begin_queued_cycle();
    bool is_queued(unsigned slot) const;
    void start(unsigned slot, std::uint64_t now);
    void note_ready(Worker& worker, std::uint64_t now);
    void dismiss(Worker& worker, int signal, std::uint64_t now, std::string_view why);
    void enforce_deadline(Worker& worker, std::uint64_t now);
    std::uint64_t sample_memory(const Worker& worker);
    void back_off(unsigned slot, std::uint64_t now);
    void publish();
    std::string name(const Worker& worker) const;

    telemetry::Segment& segment_;
    const Journal& journal_;
    RosterConfig config_;
    unsigned target_;
    bool stopping_ = false;
    std::uint64_t last_generation_ = 0;
    std::vector<Worker> workers_;  ///< by seat
    std::vector<Slot> slots_;
    std::deque<Request> queue_;  ///< voluntary cycles that wait for their turn
};

}  // namespace signalbox::supervisor
