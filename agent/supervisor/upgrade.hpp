// Starts the new version of the program and hands the group over to it, or goes on as if nothing had been.
//
//     1. A child gets the listening sockets, this group's segment (to read), the pid file and the group's stderr over a
//        socket (see handover.hpp), then executes the program anew: the same path, arguments, directory and environment.
//     2. It starts all its workers, which accept on the same sockets beside ours. If it ends, lies or is not ready within
//        upgrade_deadline, it is told to end, then killed, and an event says why; nothing else has happened.
//     3. When it is ready, our agent ends, so that nobody is shown totals of ours that are newer than those that its
//        successor starts from. Then the new arbiter is told to take over, and our workers drain.
//
// Whoever dies at whatever point leaves one of the two groups in charge: a new arbiter whose predecessor dies takes over
// at once; an old one whose successor dies before it has taken over goes on.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/sockets/inherited_sockets.hpp"
#include "agent/supervisor/journal.hpp"
#include "agent/supervisor/output_lines.hpp"
#include "agent/supervisor/program.hpp"
#include "signalbox/context.hpp"

namespace signalbox::supervisor {

/// What an arbiter needs to be replaced by another one.
struct UpgradeConfig {
    Program program{};  ///< without a path: there can be no upgrade
    std::vector<sockets::BoundSocket> sockets{};
    int segment = -1;   ///< a descriptor to read it with; -1: the totals stay behind
    int pid_file = -1;  ///< -1: none
    Tunable<std::chrono::milliseconds> deadline{std::chrono::seconds(30)};
};

class Upgrade {
public:
    Upgrade(const Journal& journal, UpgradeConfig config);
    ~Upgrade();
    Upgrade(const Upgrade&) = delete;
    Upgrade& operator=(const Upgrade&) = delete;

    /// Starts one. "" if it is under way now, otherwise why not.
    std::string begin(const std::string& reason, std::uint64_t now);
    /// The new process is no more wanted; `why` is for the event.
    void give_up(const std::string& why, std::uint64_t now);

    /// Reads what has come and enforces deadlines.
    void maintain(std::uint64_t now);
    std::uint64_t next_deadline() const;
    /// A child has ended. False if it was not the new process.
    bool reaped(pid_t pid, int wait_status, std::uint64_t now);

    /// A process has been started and has neither taken over nor ended.
    bool under_way() const { return pid_ > 0 && !handed_over_; }
    /// It is ready, and waits for hand_over().
    bool ready() const { return pid_ > 0 && ready_ && !handed_over_ && !failed(); }
    /// From now on the new process is in charge. False: it cannot be told, and the upgrade has failed.
    bool hand_over(std::uint64_t now);
    bool handed_over() const { return handed_over_; }
    pid_t pid() const { return pid_; }

    /// What to poll for, and for children to close.
    std::vector<int> descriptors() const;

private:
    bool failed() const { return !failure_.empty(); }
    [[noreturn]] void execute(int socket, int errors);
    bool tell_all(int socket) const;
    void read_records(std::uint64_t now);
    void end();

    const Journal& journal_;
    UpgradeConfig config_;
    pid_t pid_ = 0;
    int socket_ = -1;
    OutputLines errors_;
    bool running_ = false;  ///< it has come as far as Group::run()
    bool ready_ = false;
    bool handed_over_ = false;
    bool killed_ = false;
    bool reaped_ = false;
    std::string failure_;  ///< why it is being ended
    std::uint64_t started_ns_ = 0;
    std::uint64_t deadline_ns_ = 0;  ///< of being ready, or of ending
};

}  // namespace signalbox::supervisor
