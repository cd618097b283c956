// What a process leaves behind when it crashes: signal, address, stack and activity, in its seat.
//
//     telemetry.attach(seat);
//     const telemetry::CrashHandler crashes(segment, seat);   // for as long as the process serves
//
// The handler writes the record and lets the signal do what it would have done, with the siginfo that came: exit status
// and core dump stay what they were. Symbols are for whoever reads the record.
//
// It allocates nothing and takes no lock: glibc 2.35 and newer find unwind tables without one. The record counts before
// the stack is walked, so that what is known is kept if walking fails. While the handler runs, all signals of its kind
// are blocked, whereupon the kernel ends a process that crashes once more, by that signal.
#pragma once

#include "agent/telemetry/alternate_stack.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::telemetry {

/// SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT and SIGTRAP of all threads. At most one in a process; made and destroyed by
/// its first thread, which gets an alternate stack (others need an AlternateStack of their own to report an overflow).
/// A child that the process forks afterwards writes nothing.
class CrashHandler {
public:
    CrashHandler(Segment& segment, unsigned seat);
    /// The signals' default actions again.
    ~CrashHandler();
    CrashHandler(const CrashHandler&) = delete;
    CrashHandler& operator=(const CrashHandler&) = delete;

private:
    AlternateStack stack_;
};

}  // namespace signalbox::telemetry
