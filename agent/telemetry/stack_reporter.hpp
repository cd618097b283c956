// Where an event loop is stuck, as its own process says when it is asked from outside.
//
//     const StackReporter reporter(segment, seat);               // in the worker, for as long as it serves
//     const std::uint64_t before = stack_sequence(segment, seat);  // in the arbiter …
//     ask_for_stack(pid);
//     if (const auto stack = read_stack(segment, seat, before)) say(stack->text);   // … some milliseconds later
//
// The question is a signal to the first thread, whose handler writes the thread's stack into the seat: symbols are for
// whoever reads it. A process that is stopped or blocked in the kernel does not answer.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "agent/telemetry/alternate_stack.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::telemetry {

/// A realtime signal. Processes that have no StackReporter should ignore it.
int stack_signal();

/// Answers while it exists. At most one in a process; made and destroyed by its first thread.
class StackReporter {
public:
    StackReporter(Segment& segment, unsigned seat);
    /// Ignores the question from now on.
    ~StackReporter();
    StackReporter(const StackReporter&) = delete;
    StackReporter& operator=(const StackReporter&) = delete;
};

/// False, with errno, if there is no such process.
bool ask_for_stack(pid_t pid);

/// SIGABRT to the first thread, so that a CrashHandler keeps the stack of the event loop. False, with errno, if there is no
/// such process.
bool end_with_stack(pid_t pid);

/// What tells one answer from the next.
std::uint64_t stack_sequence(Segment& segment, unsigned seat);

struct StuckStack {
    std::uint64_t heartbeat_monotonic_ns = 0;  ///< the last one before it answered
    std::string text;                          ///< as describe_frames() writes it
};

/// The answer that came after stack_sequence() was `before`, if it is whole. The text is printable.
std::optional<StuckStack> read_stack(Segment& segment, unsigned seat, std::uint64_t before);

}  // namespace signalbox::telemetry
