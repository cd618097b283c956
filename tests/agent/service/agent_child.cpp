#include "tests/agent/service/agent_child.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QElapsedTimer>
#include <QThread>
#include <stdexcept>

using namespace signalbox;

AgentChild::AgentChild(int segment, int tls_listener, AgentTls tls)
    : path_(directory_.filePath("agent.sock").toStdString()) {
    const int listener = service::bind_agent_socket(path_).descriptor;
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        throw std::runtime_error("socketpair");
    commands_ = ends[0];
    pid_ = ::fork();
    if (pid_ == 0) {
        ::close(ends[0]);
        service::ServiceConfig config;
        config.segment = segment;
        config.commands = ends[1];
        config.unix_listener = listener;
        config.tls_listener = tls_listener;
        config.tls = std::move(tls);
        ::_exit(service::run_agent(config));
    }
    ::close(ends[1]);
    ::close(listener);
}

AgentChild::~AgentChild() {
    hang_up();
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
}

std::optional<supervisor::Command> AgentChild::next_command() {
    pollfd waiting{commands_, POLLIN, 0};
    if (::poll(&waiting, 1, 10'000) != 1) return {};
    supervisor::Command command;
    if (::recv(commands_, &command, sizeof command, 0) != static_cast<ssize_t>(sizeof command)) return {};
    return command;
}

void AgentChild::answer(const supervisor::Answer& answer) {
    if (::send(commands_, &answer, sizeof answer, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof answer))
        throw std::runtime_error("cannot answer the agent");
}

void AgentChild::hang_up() {
    if (commands_ >= 0) ::close(commands_);
    commands_ = -1;
}

int AgentChild::wait() {
    QElapsedTimer timer;
    timer.start();
    while (timer.elapsed() < 10'000) {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        QThread::msleep(5);
    }
    return -1;
}
