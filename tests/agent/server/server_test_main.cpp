#include "server_test_main.hpp"

#ifndef __SANITIZE_THREAD__

int run_without_watchdog(int argc, char** argv, int (*test)(int, char**)) {
    return test(argc, argv);
}

#else

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

/// A worker ends with _exit, which does not care for reports: a race must end it, so that its test fails.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() {
    return "halt_on_error=1";
}

namespace {

int follow(pid_t tracee) {
    int status = 0;
    bool first = true;
    while (::waitpid(tracee, &status, 0) == tracee) {
        if (WIFEXITED(status)) return WEXITSTATUS(status);
        if (WIFSIGNALED(status)) {
            ::signal(WTERMSIG(status), SIG_DFL);
            ::raise(WTERMSIG(status));
            return 1;
        }
        if (first) ::ptrace(PTRACE_SETOPTIONS, tracee, nullptr, PTRACE_O_EXITKILL);
        const long delivered = first ? 0 : WSTOPSIG(status);
        first = false;
        ::ptrace(PTRACE_CONT, tracee, nullptr, delivered);
    }
    return 1;
}

}  // namespace

int run_without_watchdog(int argc, char** argv, int (*test)(int, char**)) {
    const pid_t tracee = ::fork();
    if (tracee > 0) return follow(tracee);
    if (tracee < 0 || ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
        std::perror("the test cannot be traced");
        return 1;
    }
    ::raise(SIGSTOP);
    return test(argc, argv);
}

#endif
