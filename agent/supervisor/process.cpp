#include "agent/supervisor/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "agent/telemetry/stack_reporter.hpp"

namespace signalbox::supervisor {
namespace {

/// A handler gets no argument.
std::atomic<unsigned> orphan_seconds{5};

int orphan_signal() {
    return SIGRTMIN + 5;
}

/// Nobody is left who would kill a child that does not hear SIGTERM.
void orphaned(int) {
    const int error = errno;
    ::alarm(orphan_seconds.load(std::memory_order_relaxed));
    ::kill(::getpid(), SIGTERM);
    errno = error;
}

void end_with(pid_t arbiter) {
    struct sigaction action {};
    action.sa_handler = orphaned;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    ::sigaction(orphan_signal(), &action, nullptr);
    ::prctl(PR_SET_PDEATHSIG, orphan_signal());
    if (::getppid() != arbiter) ::_exit(EX_OK);  // it died before the line above
}

void reset_signals() {
    for (int signal = 1; signal < NSIG; ++signal)
        if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_DFL);
    for (const int signal : {SIGPIPE, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ, telemetry::stack_signal()})
        ::signal(signal, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(pid_t arbiter, const std::vector<int>& to_close,
                            const std::function<int()>& body) {
    reset_signals();
    end_with(arbiter);
    for (const int descriptor : to_close)
        ::close(descriptor);
    // Siblings start with the arbiter's state of random(), and would all draw the same numbers.
    unsigned seed = 0;
    if (::getentropy(&seed, sizeof seed) != 0) seed = static_cast<unsigned>(::getpid());
    ::srandom(seed);
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

/// The beginning of /proc/PID/NAME; "" if it is not there or not to be read.
std::string proc_file(pid_t pid, const char* name) {
    char path[48];
    *fmt::format_to_n(path, sizeof path - 1, "/proc/{}/{}", pid, name).out = '\0';
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    char text[512];
    const ssize_t length = ::read(file, text, sizeof text);
    ::close(file);
    return length > 0 ? std::string(text, static_cast<std::size_t>(length)) : std::string();
}

/// 'R', 'S', 'T' …; zero if there is no such process. The second field of the line may hold parentheses.
char state_of(pid_t pid) {
    const std::string text = proc_file(pid, "stat");
    const std::size_t end = text.rfind(')');
    return end == std::string::npos || end + 2 >= text.size() ? '\0' : text[end + 2];
}

}  // namespace

pid_t fork_child(const std::vector<int>& to_close, const std::function<int()>& body) {
    const pid_t arbiter = ::getpid();
    std::fflush(nullptr);  // or the child prints it again
    const pid_t pid = ::fork();
    if (pid == 0) run_child(arbiter, to_close, body);
    return pid;
}

void set_orphan_patience(std::chrono::milliseconds patience) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(patience).count();
    orphan_seconds.store(static_cast<unsigned>(std::max<std::int64_t>(seconds, 1)),
                         std::memory_order_relaxed);
}

std::uint64_t resident_bytes(pid_t pid) {
    const std::string text = proc_file(pid, "statm");
    if (text.empty()) return 0;
    char* second = nullptr;
    std::strtoull(text.c_str(), &second, 10);
    return std::strtoull(second, nullptr, 10) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string describe_state(pid_t pid) {
    const char state = state_of(pid);
    switch (state) {
        case 'R':
            return "it is running";
        case 'T':
            return "it is stopped (SIGSTOP or the like; SIGCONT goes on)";
        case 't':
            return "a debugger has stopped it";
        case 'Z':
        case 'X':
        case '\0':
            return "it has ended";
        default:
            break;
    }
    // The name of the kernel's function, if this process may know it; else the number of the system call.
    std::string where = proc_file(pid, "wchan");
    if (where.empty() || where == "0") {
        where = proc_file(pid, "syscall");
        where = where.substr(0, where.find_first_of(" \n"));
        where = where.empty() ? "the kernel" : "system call " + where;
    }
    return fmt::format("it {} in {}", state == 'D' ? "is blocked" : "sleeps", where);
}

bool pin_to_processor(unsigned number) {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
    unsigned left = number % static_cast<unsigned>(CPU_COUNT(&allowed));
    for (unsigned processor = 0; processor < CPU_SETSIZE; ++processor) {
        if (!CPU_ISSET(processor, &allowed) || left-- > 0) continue;
        cpu_set_t own;
        CPU_ZERO(&own);
        CPU_SET(processor, &own);
        return ::sched_setaffinity(0, sizeof own, &own) == 0;
    }
    return false;
}

bool is_traced(pid_t pid) {
    return state_of(pid) == 't';
}

}  // namespace signalbox::supervisor
