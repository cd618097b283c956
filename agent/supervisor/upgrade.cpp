#include "agent/supervisor/upgrade.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "agent/supervisor/exit_reason.hpp"
#include "agent/supervisor/handover.hpp"

namespace signalbox::supervisor {
namespace {

using wire::Severity;

constexpr std::uint64_t kMillisecond = 1'000'000;
/// What a process that has failed gets to end its workers.
constexpr std::uint64_t kKillGrace = 3'000 * kMillisecond;

/// A stream socket of a slot that never had a worker. Nothing can wait there.
bool does_not_listen(int socket) {
    int type = 0;
    int listens = 0;
    socklen_t size = sizeof type;
    return ::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           ::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 0;
}

}  // namespace

Upgrade::Upgrade(const Journal& journal, UpgradeConfig config)
    : journal_(journal), config_(std::move(config)) {}

Upgrade::~Upgrade() {
    close_if_open(socket_);
}

std::vector<int> Upgrade::descriptors() const {
    std::vector<int> all;
    for (const int descriptor : {socket_, errors_.descriptor()})
        if (descriptor >= 0) all.push_back(descriptor);
    return all;
}

std::uint64_t Upgrade::next_deadline() const {
    return pid_ > 0 && !handed_over_ && !killed_ ? deadline_ns_ : UINT64_MAX;
}

std::string Upgrade::begin(const std::string& reason, std::uint64_t now) {
    if (handed_over_) return fmt::format("Process {} has taken over already.", pid_);
    if (pid_ > 0) return fmt::format("An upgrade is under way: process {} is starting.", pid_);
    if (::getpid() == 1)
        return "This is process 1, with whose end all others would end: start the new version in its place.";
    if (const std::string obstacle = config_.program.obstacle(); !obstacle.empty())
        return fmt::format("The new version cannot be started: {}.", obstacle);
    int ends[2];
    int errors[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fmt::format("No socket for the new version: {}.", std::strerror(errno));
    if (::pipe2(errors, O_CLOEXEC) != 0) {
        const int error = errno;
        ::close(ends[0]);
        ::close(ends[1]);
        return fmt::format("No pipe for the new version: {}.", std::strerror(error));
    }
    // Before the fork: what does not fit is known while it is still nobody's business.
    const bool told = tell_all(ends[0]);
    const int telling_error = errno;
    const pid_t pid = told ? ::fork() : -1;
    if (pid == 0) execute(ends[1], errors[1]);
    const int error = told ? errno : telling_error;
    ::close(ends[1]);
    ::close(errors[1]);
    if (pid < 0) {
        ::close(ends[0]);
        ::close(errors[0]);
        return fmt::format("Cannot {}: {}.", told ? "fork" : "hand the sockets over", std::strerror(error));
    }
    pid_ = pid;
    socket_ = ends[0];
    errors_ = OutputLines(errors[0]);
    started_ns_ = now;
    deadline_ns_ = now + static_cast<std::uint64_t>(std::chrono::nanoseconds(config_.deadline.get()).count());
    journal_.say(Severity::info, "upgrade_started",
                 fmt::format("Process {} starts {}: {}.", pid_, config_.program.path, reason),
                 static_cast<std::uint32_t>(pid_));
    return {};
}

bool Upgrade::tell_all(int socket) const {
    std::vector<sockets::BoundSocket> all;
    std::copy_if(config_.sockets.begin(), config_.sockets.end(), std::back_inserter(all),
                 [](const auto& bound) { return !does_not_listen(bound.descriptor); });
    for (std::size_t begin = 0; begin < all.size(); begin += kSocketsPerRecord) {
        HandoverRecord record;
        record.note = Note::sockets;
        std::vector<int> descriptors;
        for (std::size_t i = begin; i < std::min(all.size(), begin + kSocketsPerRecord); ++i) {
            record.addresses[i - begin] = all[i].asked.storage;
            record.address_bytes[i - begin] = all[i].asked.size;
            descriptors.push_back(all[i].descriptor);
        }
        if (!send_record(socket, record, descriptors)) return false;
    }
    const auto tell = [socket](Note note, const std::vector<int>& descriptors) {
        HandoverRecord record;
        record.note = note;
        return send_record(socket, record, descriptors);
    };
    return (config_.segment < 0 || tell(Note::segment, {config_.segment})) &&
           (config_.pid_file < 0 || tell(Note::pid_file, {config_.pid_file})) &&
           tell(Note::errors, {STDERR_FILENO}) && tell(Note::all_told, {});
}

/// In the forked child.
void Upgrade::execute(int socket, int errors) {
    // What this process inherited and never closed is not the next one's business either.
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    ::fcntl(socket, F_SETFD, 0);
    ::dup2(errors, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    HandoverRecord record;
    record.note = Note::cannot_start;
    const std::string obstacle = config_.program.execute(fmt::format("{}={}", kHandoverVariable, socket));
    obstacle.copy(record.text, sizeof record.text - 1);
    send_record(socket, record);
    ::_exit(EX_UNAVAILABLE);
}

void Upgrade::maintain(std::uint64_t now) {
    if (pid_ <= 0) return;
    errors_.read([this](std::string_view line) { journal_.pass_on(line); });
    if (handed_over_) return;
    read_records(now);
    if (pid_ <= 0 || killed_ || now < deadline_ns_) return;
    if (!failed()) {
        give_up(fmt::format("it was not ready within {} ms (upgrade_deadline)",
                            (now - started_ns_) / kMillisecond),
                now);
        return;
    }
    ::kill(pid_, SIGKILL);
    killed_ = true;
}

void Upgrade::read_records(std::uint64_t now) {
    while (socket_ >= 0) {
        ReceivedRecord received = receive_record(socket_);
        for (const int descriptor : received.descriptors)
            ::close(descriptor);
        switch (received.kind) {
            case ReceivedRecord::Kind::nothing:
                return;
            case ReceivedRecord::Kind::end:
                close_if_open(socket_);  // it is ending, or will never be ready
                return;
            case ReceivedRecord::Kind::garbage:
                if (!failed()) give_up(fmt::format("it sent {}", received.complaint), now);
                close_if_open(socket_);
                return;
            case ReceivedRecord::Kind::record:
                break;
        }
        if (received.record.note == Note::running && !running_)
            running_ = true;
        else if (received.record.note == Note::ready && running_ && !ready_)
            ready_ = true;
        else if (received.record.note == Note::cannot_start && !running_)
            give_up(received.record.text, now);
        else if (!failed())
            give_up(fmt::format("it sent a note ({}) that is not its turn",
                                static_cast<std::uint32_t>(received.record.note)),
                    now);
    }
}

void Upgrade::give_up(const std::string& why, std::uint64_t now) {
    if (!under_way() || failed()) return;
    failure_ = why;
    deadline_ns_ = now + kKillGrace;
    // An arbiter stops its workers at once upon SIGQUIT; a program that has not come so far would dump core.
    if (!reaped_) ::kill(pid_, running_ ? SIGQUIT : SIGTERM);
}

bool Upgrade::hand_over(std::uint64_t now) {
    HandoverRecord record;
    record.note = Note::take_over;
    if (!send_record(socket_, record)) {
        give_up(fmt::format("it cannot be told to take over: {}", std::strerror(errno)), now);
        return false;
    }
    handed_over_ = true;
    journal_.say(Severity::info, "upgrade_handed_over",
                 fmt::format("Process {} is in charge after {} ms; the workers of this one drain.", pid_,
                             (now - started_ns_) / kMillisecond),
                 static_cast<std::uint32_t>(pid_));
    return true;
}

bool Upgrade::reaped(pid_t pid, int wait_status, std::uint64_t now) {
    if (pid != pid_ || pid_ <= 0) return false;
    errors_.finish([this](std::string_view line) { journal_.pass_on(line); });
    if (handed_over_) {
        journal_.say(
            Severity::error, "upgrade_died",
            fmt::format("Process {}, which had taken over, ended: {}.", pid_, describe_exit(wait_status)),
            static_cast<std::uint32_t>(pid_));
        end();
        return true;
    }
    reaped_ = true;
    read_records(now);  // what it said before it ended
    std::string why = failed() ? failure_
                      : ready_ ? "it was ready, but ended: " + describe_exit(wait_status)
                               : "it ended before it was ready: " + describe_exit(wait_status);
    if (const std::string& last = errors_.last_line(); !last.empty())
        why += fmt::format("; its last words: {}", last.substr(0, 160));
    journal_.say(Severity::error, "upgrade_failed",
                 fmt::format("Process {} does not take over, and this group goes on: {}.", pid_, why),
                 static_cast<std::uint32_t>(pid_));
    end();
    return true;
}

void Upgrade::end() {
    pid_ = 0;
    ready_ = running_ = killed_ = reaped_ = false;
    failure_.clear();
    close_if_open(socket_);
    errors_ = OutputLines();
}

}  // namespace signalbox::supervisor
