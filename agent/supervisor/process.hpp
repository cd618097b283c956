// Child processes: forking one with clean signals and descriptors, and what /proc says about it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace signalbox::supervisor {

/// Forks a child that runs `body` and exits with what it returns (EX_SOFTWARE if it throws). In the child all
/// signals are unblocked and have their default action, except PIPE, INT and HUP (a terminal sends the latter two to
/// the whole process group; only the arbiter acts on them), USR1, USR2 and telemetry::stack_signal(), which are ignored
/// until the child handles what they ask for, and XFSZ, so that a write beyond RLIMIT_FSIZE fails instead; random() has a
/// seed of its own; when the arbiter dies, it is told by SIGTERM; and the descriptors in `to_close` are closed. Returns
/// -1 with errno if there can be no child.
pid_t fork_child(const std::vector<int>& to_close, const std::function<int()>& body);

/// How long this child may go on when its arbiter has died: then the kernel ends it, even if its event loop is stuck.
/// At first 5 s.
void set_orphan_patience(std::chrono::milliseconds patience);

/// Bytes of memory in RAM, from /proc; 0 if the process is not there.
std::uint64_t resident_bytes(pid_t pid);

/// What the kernel says that the first thread of a process is at: "it is running", "it is stopped", "it sleeps in
/// futex_wait_queue".
std::string describe_state(pid_t pid);

/// Keeps the calling process on the `number`-th of the processors that it may use, counted round. False with errno if
/// that cannot be.
bool pin_to_processor(unsigned number);

/// Whether a debugger has stopped it.
bool is_traced(pid_t pid);

}  // namespace signalbox::supervisor
