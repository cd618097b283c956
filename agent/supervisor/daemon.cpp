#include "agent/supervisor/daemon.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "agent/supervisor/exit_reason.hpp"
#include "agent/supervisor/handover.hpp"

namespace signalbox::supervisor {
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

int wait_for(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/// Ends when the background process says that it is ready, or has ended.
[[noreturn]] void wait_in_between(pid_t pid, int pipe) {
    char word = 0;
    ssize_t length = 0;
    while ((length = ::read(pipe, &word, 1)) < 0 && errno == EINTR) {
    }
    if (length == 1) ::_exit(EX_OK);
    const int status = wait_for(pid);
    if (WIFEXITED(status)) ::_exit(WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EX_UNAVAILABLE);
    fmt::print(stderr, "the background process {} ended before it was ready: {}\n", pid,
               describe_exit(status));
    std::fflush(nullptr);
    ::_exit(EX_SOFTWARE);
}

}  // namespace

Daemon::Daemon(bool wanted) {
    if (!wanted || std::getenv(std::string(kHandoverVariable).c_str())) return;
    std::fflush(nullptr);  // or both print it
    const pid_t between = ::fork();
    if (between < 0) fail("daemonize: fork");
    if (between > 0) {
        const int status = wait_for(between);
        ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE);
    }
    ::setsid();
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) ::_exit(EX_OSERR);
    const pid_t background = ::fork();
    if (background < 0) ::_exit(EX_OSERR);
    if (background > 0) {
        ::close(pipe[1]);
        wait_in_between(background, pipe[0]);
    }
    ::close(pipe[0]);
    ::setpgid(0, 0);  // so that the group has the arbiter's number
    pipe_ = pipe[1];
}

Daemon::~Daemon() {
    if (pipe_ >= 0) ::close(pipe_);
}

void Daemon::leave_terminal(bool keep_stderr) const {
    if (!caller_waits()) return;
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0) fail("daemonize: /dev/null");
    std::fflush(nullptr);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(nothing, STDOUT_FILENO);
    if (!keep_stderr) ::dup2(nothing, STDERR_FILENO);
    ::close(nothing);
}

void Daemon::succeed() {
    if (!caller_waits()) return;
    leave_terminal(false);
    [[maybe_unused]] const ssize_t told = ::write(pipe_, "r", 1);
    ::close(std::exchange(pipe_, -1));
}

void change_directory(const std::string& path) {
    if (!path.empty() && ::chdir(path.c_str()) != 0)
        throw std::system_error(errno, std::generic_category(), "directory: " + path);
}

ProcessGroupFile::~ProcessGroupFile() {
    if (owner_ == ::getpid()) ::unlink(path_.c_str());
}

void ProcessGroupFile::write() {
    if (path_.empty()) return;
    const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    const std::string text = std::to_string(::getpgrp()) + "\n";
    const bool written =
        file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int error = errno;
    if (file >= 0) ::close(file);
    if (!written) throw std::system_error(error, std::generic_category(), "process_group_file: " + path_);
    owner_ = ::getpid();
}

}  // namespace signalbox::supervisor
