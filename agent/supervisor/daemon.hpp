// A group in the background: the process that a person or an init script has called waits until it is ready or has failed.
//
//     Daemon daemon(options.daemonize);        // in the background from here on; the caller stays in here, and ends
//     …                                        // bind, and say on stderr what is wrong: it is the caller's terminal yet
//     daemon.leave_terminal(true);             // before workers are forked
//     daemon.succeed();                        // the caller exits with 0
//
// If the background process ends before succeed(), the caller exits with its status. Between the two stands a process that
// has made a session of its own and waits likewise, so that the group is nobody's session leader and cannot get a terminal.
#pragma once

#include <sys/types.h>

#include <string>

namespace signalbox::supervisor {

class Daemon {
public:
    /// Forks, unless `wanted` is false or this process was started by an upgrade, whose predecessor is in the background
    /// already; create no thread before. Throws std::system_error.
    explicit Daemon(bool wanted);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// This process is the one in the background, and its caller waits.
    bool caller_waits() const { return pipe_ >= 0; }
    /// stdin and stdout are /dev/null from now on; stderr too, or, if it is to be kept, from succeed() on.
    void leave_terminal(bool keep_stderr) const;
    void succeed();
    /// For children to close; -1: none.
    int descriptor() const { return pipe_; }

private:
    int pipe_ = -1;
};

/// Throws std::system_error that names the directory. "": does nothing.
void change_directory(const std::string& path);

/// The file that says which process group to signal, for `kill -TERM -$(cat …)`.
class ProcessGroupFile {
public:
    /// "": none.
    explicit ProcessGroupFile(std::string path) : path_(std::move(path)) {}
    /// Removes what this process has written.
    ~ProcessGroupFile();
    ProcessGroupFile(const ProcessGroupFile&) = delete;
    ProcessGroupFile& operator=(const ProcessGroupFile&) = delete;

    /// Throws std::system_error.
    void write();
    /// It is another process' to remove.
    void give_away() { owner_ = 0; }

private:
    std::string path_;
    pid_t owner_ = 0;
};

}  // namespace signalbox::supervisor
