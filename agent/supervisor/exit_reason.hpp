// Why a process ended, in words.
#pragma once

#include <string>

namespace signalbox::supervisor {

/// Of a wait status: "exit status 0", "exit status 78 (EX_CONFIG)", "signal 11 (SIGSEGV), core dumped".
std::string describe_exit(int wait_status);

/// A fault of the program: a status other than 0, or a signal that nobody sends on purpose (not TERM, INT,
/// QUIT, KILL).
bool is_own_fault(int wait_status);

}  // namespace signalbox::supervisor
