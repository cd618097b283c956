// What the kernel says of a process of any user: enough to tell it from another one with the same pid.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace signalbox::telemetry {

struct ProcessStatus {
    bool has_ended = false;         ///< killed or ended, but its parent has not looked yet
    std::uint64_t start_ticks = 0;  ///< when it was started: since boot, in units of sysconf(_SC_CLK_TCK)
};

/// From /proc/PID/stat. None: there is no such process, or no /proc, or no file descriptor left.
std::optional<ProcessStatus> process_status(pid_t pid);

}  // namespace signalbox::telemetry
