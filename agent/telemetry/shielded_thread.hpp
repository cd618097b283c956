// Threads in which no signal of the process' own is delivered: those are for the event loop's thread.
#pragma once

#include <signal.h>

#include <thread>
#include <utility>

#include "agent/telemetry/alternate_stack.hpp"

namespace signalbox::telemetry {

/// Starts a thread in which only what a fault raises is delivered, and which has a stack for the handlers of that. Throws
/// std::system_error.
template <class Function>
std::thread start_shielded(Function function) {
    sigset_t shielded;
    sigset_t before;
    sigfillset(&shielded);
    for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS})
        sigdelset(&shielded, fault);
    struct Restore {
        const sigset_t& mask;
        ~Restore() { ::pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
    };
    ::pthread_sigmask(SIG_SETMASK, &shielded, &before);
    const Restore restore{before};
    return std::thread([function = std::move(function)]() mutable {
        const AlternateStack stack;
        function();
    });
}

}  // namespace signalbox::telemetry
