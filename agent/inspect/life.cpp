#include "agent/inspect/life.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>

#include "agent/telemetry/process_status.hpp"

namespace signalbox::inspect {
namespace {

std::uint64_t clock_ns(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

/// Whether the process maps that file; nothing if this user may not know.
std::optional<bool> maps_file(std::uint32_t pid, std::uint64_t device, std::uint64_t inode) {
    std::ifstream maps(fmt::format("/proc/{}/maps", pid));
    if (!maps) return errno == EACCES || errno == EPERM ? std::nullopt : std::optional(false);
    errno = 0;
    for (std::string line; std::getline(maps, line);) {
        unsigned major = 0;
        unsigned minor = 0;
        std::uint64_t number = 0;
        if (std::sscanf(line.c_str(), "%*s %*s %*s %x:%x %" SCNu64, &major, &minor, &number) == 3 &&
            number == inode && makedev(major, minor) == device)
            return true;
    }
    return errno == EACCES || errno == EPERM ? std::nullopt : std::optional(false);
}

/// When the process was started, in nanoseconds since the boot; 0: there is none.
std::uint64_t start_time(std::uint32_t pid) {
    const auto status = telemetry::process_status(static_cast<pid_t>(pid));
    if (!status) return 0;
    return status->start_ticks * (1'000'000'000u / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

}  // namespace

Processes::Processes(int segment) {
    struct stat status {};
    if (::fstat(segment, &status) != 0) return;
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

bool Processes::is_alive(std::uint32_t pid, Started started) const {
    if (pid == 0) return false;
    if (const auto maps = maps_file(pid, device_, inode_)) return *maps;
    constexpr std::uint64_t kSlack = 1'000'000'000;
    const std::uint64_t latest = start_time(pid);
    if (latest == 0) return false;
    // /proc counts the time that the machine slept, CLOCK_MONOTONIC does not; when it slept is not known.
    const std::uint64_t slept = clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC);
    const std::uint64_t earliest = latest > slept ? latest - slept : 0;
    return earliest <= started.before + kSlack && latest + kSlack >= started.after &&
           started.after <= clock_ns(CLOCK_MONOTONIC);
}

}  // namespace signalbox::inspect
