// Event loops that do not turn, as their heartbeats show from outside.
//
// A loop that is late is asked where it is (telemetry/stack_reporter.hpp), and an event says what it answered, or what
// the kernel knows about it if it does not answer. One that stays late is wedged: its worker has to go.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "agent/supervisor/journal.hpp"
#include "agent/supervisor/limits.hpp"
#include "agent/telemetry/rate_limit.hpp"
#include "signalbox/context.hpp"

namespace signalbox::supervisor {

/// 0: never.
struct LoopThresholds {
    Tunable<std::chrono::milliseconds> spin{std::chrono::milliseconds(150)};  ///< late by this much: reported
    Tunable<std::chrono::milliseconds> wedge{std::chrono::milliseconds(10'000)};  ///< … : replaced
};

/// What is known about the loop of one worker.
struct Loop {
    LateTurns late_turns;
    bool stalled = false;
    bool wedged = false;            ///< has been found wedged and not been seen to turn since
    std::uint64_t seen_beat = 0;    ///< whose lateness has been dealt with
    std::uint64_t asked_at_ns = 0;  ///< 0: no answer is awaited
    std::uint64_t answers_before = 0;
    std::uint64_t late_when_asked_ns = 0;
};

class LoopWatch {
public:
    struct Subject {
        pid_t pid;
        unsigned seat;
        std::uint64_t generation;
        std::string_view name;  ///< "worker 3 (pid 4242, generation 7)"
    };

    LoopWatch(telemetry::Segment& segment, const Journal& journal, LoopThresholds thresholds);

    /// Before a round of look(): if the arbiter itself was away (a stopped host, a debugger), nobody is late for that.
    void begin_round(std::uint64_t now);
    /// Looks at one worker and says what is new; `lag`: see Limits. True when it has just been found wedged.
    bool look(Loop& loop, const Subject& worker, std::chrono::milliseconds lag, std::uint64_t now);
    /// By how much a heartbeat is overdue.
    std::uint64_t lateness(unsigned seat, std::uint64_t now) const;

private:
    void say(wire::Severity severity, std::string_view name, const Subject& worker,
             const std::string& text) const;
    void note_stall(Loop& loop, const Subject& worker, std::uint64_t late);
    void ask(Loop& loop, const Subject& worker, std::uint64_t beat, std::uint64_t late, std::uint64_t now);
    void report(Loop& loop, const Subject& worker, const std::string& stack);
    void await_answer(Loop& loop, const Subject& worker, bool late, std::uint64_t now);

    telemetry::Segment& segment_;
    const Journal& journal_;
    LoopThresholds thresholds_;
    std::uint64_t watching_since_ns_ = 0;
    std::uint64_t last_round_ns_ = 0;
    telemetry::PerMinute<5> reports_;
};

}  // namespace signalbox::supervisor
