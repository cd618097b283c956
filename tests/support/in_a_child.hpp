// What would change the test's own process is done in one that ends with it.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

/// Runs `body` in a child of its own; true if it returns true.
inline bool in_a_child(const std::function<bool()>& body) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(body() ? 0 : 1);
    int status = -1;
    return ::waitpid(pid, &status, 0) == pid && status == 0;
}
