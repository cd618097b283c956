#include "agent/supervisor/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace signalbox::supervisor {
namespace {

void reset_signals() {
    for (int signal = 1; signal < NSIG; ++signal)
        if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_DFL);
    for (const int signal : {SIGPIPE, SIGINT, SIGHUP})
        ::signal(signal, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(pid_t arbiter, const std::vector<int>& to_close,
                            const std::function<int()>& body) {
    reset_signals();
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != arbiter) ::_exit(EX_OK);  // it died before the line above
    for (const int descriptor : to_close)
        ::close(descriptor);
    int status = EX_SOFTWARE;
    try {
        status = body();
    } catch (const std::exception& error) {
        fmt::print(stderr, "process {} ends: {}\n", ::getpid(), error.what());
    }
    std::fflush(nullptr);
    // Not exit(): the arbiter's static objects are not the child's to destroy.
    ::_exit(status);
}

}  // namespace

pid_t fork_child(const std::vector<int>& to_close, const std::function<int()>& body) {
    const pid_t arbiter = ::getpid();
    std::fflush(nullptr);  // or the child prints it again
    const pid_t pid = ::fork();
    if (pid == 0) run_child(arbiter, to_close, body);
    return pid;
}

std::uint64_t resident_bytes(pid_t pid) {
    char path[32];
    *fmt::format_to_n(path, sizeof path - 1, "/proc/{}/statm", pid).out = '\0';
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    char text[128];
    const ssize_t length = ::read(file, text, sizeof text - 1);
    ::close(file);
    if (length <= 0) return 0;
    text[length] = '\0';
    char* second = nullptr;
    std::strtoull(text, &second, 10);
    return std::strtoull(second, nullptr, 10) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace signalbox::supervisor
