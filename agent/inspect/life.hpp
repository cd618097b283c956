// Whether the processes that a segment names are still there.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace signalbox::inspect {

/// When a process was started, as the group knows it (CLOCK_MONOTONIC).
struct Started {
    std::uint64_t after = 0;
    std::uint64_t before = 0;
};

/// Looks processes up in /proc. A pid alone says nothing: after a while it is another process'.
class Processes {
public:
    /// `segment` is the open file; it must stay open.
    explicit Processes(int segment);

    /// Process `pid` is of this group: it has the segment mapped. Where this user may not look into it, it must
    /// have been started at the right time, within a second.
    bool is_alive(std::uint32_t pid, Started started) const;

private:
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
};

}  // namespace signalbox::inspect
