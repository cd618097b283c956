#include "agent/supervisor/exit_reason.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

#include <array>

namespace signalbox::supervisor {
namespace {

constexpr std::array<const char*, EX__MAX - EX__BASE + 1> kExitNames = {
    "EX_USAGE",       "EX_DATAERR",  "EX_NOINPUT",  "EX_NOUSER", "EX_NOHOST",
    "EX_UNAVAILABLE", "EX_SOFTWARE", "EX_OSERR",    "EX_OSFILE", "EX_CANTCREAT",
    "EX_IOERR",       "EX_TEMPFAIL", "EX_PROTOCOL", "EX_NOPERM", "EX_CONFIG"};

}  // namespace

std::string describe_exit(int wait_status) {
    if (WIFSIGNALED(wait_status)) {
        const int signal = WTERMSIG(wait_status);
        const char* name = ::sigabbrev_np(signal);
        return fmt::format("signal {} ({}{}){}", signal, name ? "SIG" : "unknown", name ? name : "",
                           WCOREDUMP(wait_status) ? ", core dumped" : "");
    }
    const int status = WEXITSTATUS(wait_status);
    if (status >= EX__BASE && status <= EX__MAX)
        return fmt::format("exit status {} ({})", status,
                           kExitNames[static_cast<std::size_t>(status - EX__BASE)]);
    return fmt::format("exit status {}", status);
}

bool is_own_fault(int wait_status) {
    if (!WIFSIGNALED(wait_status)) return WEXITSTATUS(wait_status) != 0;
    const int signal = WTERMSIG(wait_status);
    return signal != SIGTERM && signal != SIGINT && signal != SIGQUIT && signal != SIGKILL;
}

}  // namespace signalbox::supervisor
