// Walking a thread's stack from a signal handler of that thread.
//
// Allocates nothing and takes no lock once it is prepared: glibc 2.35 and newer find unwind tables without one.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace signalbox::telemetry {

/// Where the thread was when the signal came; 0 if this processor is not known.
std::uint64_t instruction_of(const ucontext_t& context);

/// Calls `visit` with the return addresses behind instruction_of(context), innermost first, until it returns false or
/// there are no more. Where no unwind table says how to go on, as in a stub that leads to a library's function or after the
/// call of what is no function, the caller has left its address. `context` is the one that the handler got, since the
/// unwinder reads it; it is afterwards as it was before. Async-signal-safe.
void walk_callers(ucontext_t& context, bool (*visit)(void* argument, std::uint64_t address), void* argument);

/// The first time, the unwinder may allocate and load what it needs: before any signal comes.
void prepare_to_walk();

}  // namespace signalbox::telemetry
