// The whole agent in a child process, with the test at the arbiter's end of the command socket.
#pragma once

#include <sys/types.h>

#include <QTemporaryDir>
#include <optional>
#include <string>

#include "agent/service/service.hpp"
#include "agent/supervisor/commands.hpp"

class AgentChild {
public:
    /// Listens on a unix socket of its own, and on `tls_listener` unless that is -1.
    explicit AgentChild(int segment, int tls_listener = -1, signalbox::AgentTls tls = {});
    /// Kills it if it still runs.
    ~AgentChild();

    const std::string& socket_path() const { return path_; }
    pid_t pid() const { return pid_; }

    /// Waits for the next command; none after 10 s.
    std::optional<signalbox::supervisor::Command> next_command();
    void answer(const signalbox::supervisor::Answer& answer);
    /// What the end of the arbiter looks like.
    void hang_up();
    /// Waits for the exit status; -1 if it does not end within 10 s.
    int wait();

private:
    QTemporaryDir directory_;
    std::string path_;
    int commands_ = -1;
    pid_t pid_ = -1;
};
