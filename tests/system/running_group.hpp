// A real group (the mailroom example) on loopback, load on it, and its segment as a reader sees it.
#pragma once

#include <QByteArray>
#include <QProcess>
#include <QStringList>
#include <QTemporaryDir>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/telemetry/view.hpp"

namespace signalbox::tests {

/// The path of one of our programs.
QString program(const QString& name);

class RunningGroup {
public:
    /// Starts it and waits until all workers are ready; `failure()` says why not.
    /// `in_arbiter` runs in the arbiter's process before its program does.
    explicit RunningGroup(int workers, const QStringList& more_options = {},
                          std::function<void()> in_arbiter = {});
    /// Ends it with SIGTERM, or harder.
    ~RunningGroup();

    QString failure() const { return failure_; }
    QString url() const { return url_; }                     ///< "http://127.0.0.1:41234"
    QString agent_url() const { return "unix:" + socket_; }  ///< for the console
    QString agent_socket() const { return socket_; }
    /// The one in charge, as far as upgrades have been followed.
    pid_t arbiter() const { return successor_ > 0 ? successor_ : static_cast<pid_t>(process_.processId()); }
    QByteArray log() const;

    const telemetry::SegmentView& view() const { return *view_; }
    bool all_ready(std::size_t count) const;
    /// The newest generation in `slot`, or an empty one.
    wire::Worker worker(std::uint32_t slot) const;
    /// Totals of the whole group now, by counter name; labels are added up.
    std::map<std::string, std::uint64_t> counters() const;
    /// Group events so far; how many of them have that name; the text of the last of those.
    std::vector<telemetry::RawEvent> events() const;
    long count(const std::string& event) const;
    QString text_of(const std::string& event) const;
    /// signalboxctl's exit status.
    int ctl(const QStringList& arguments) const;

    /// Waits until another arbiter than this one is in charge and this one has ended; from then on all of this is about
    /// the new one. `meanwhile` is called again and again. False: it did not come to that in time.
    bool follow_upgrade(const std::function<void()>& meanwhile = {});
    /// What the program's path leads to from now on; "": nothing.
    void set_program(const QString& path);
    /// How many processes there are of all its arbiters.
    int processes() const;

    /// A file of its own directory.
    QString file(const QString& name) const { return directory_.filePath(name); }
    /// Where its segment is.
    QString segment() const { return directory_.filePath("segment"); }
    /// SIGKILL to the arbiter, the agent and all workers at once; returns when all are gone.
    void kill_whole();

    /// SIGTERM; the exit status, or -1 if it did not end in time.
    int stop();

private:
    QTemporaryDir directory_;
    QProcess process_;
    QString failure_;
    QString url_;
    QString socket_;
    pid_t pgid_ = 0;       ///< of all its processes
    pid_t successor_ = 0;  ///< who is in charge after an upgrade; a child of this process by then
    std::unique_ptr<telemetry::SegmentView> view_;
};

/// signalbox-load in the background.
class Load {
public:
    Load(const QString& url, const QStringList& options);
    ~Load();

    bool running() const { return process_.state() != QProcess::NotRunning; }
    /// Waits for its end (or ends it early, with SIGINT) and gives what it printed as JSON.
    QJsonObject finish(bool early = false);
    int exit_status() const { return process_.exitCode(); }

private:
    QProcess process_;
};

/// A connection to the group with `bytes` sent on it.
class RawClient {
public:
    RawClient(const RunningGroup& group, const std::string& bytes);
    ~RawClient();
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    bool has_ended() const;
    /// "200", "503"; waits for the end of the connection. "": it was reset or closed without an answer.
    QByteArray status();

private:
    int socket_;
};
/// "GET /hello HTTP/1.1…", which asks for the end of the connection.
std::string request(const std::string& method_and_path);

/// What has become of the connections that a group has accepted.
struct Balance {
    std::uint64_t accepted = 0;
    std::uint64_t served = 0;
    std::uint64_t shed = 0;
    std::uint64_t failed = 0;
    std::uint64_t open = 0;  ///< in queues or being served

    /// Can be told only while connections neither come nor go.
    bool holds() const { return accepted == served + shed + failed + open; }
    QString text() const;
};
Balance balance_of(const RunningGroup& group);

/// Looks every few milliseconds, for 30 s or so.
bool wait_for(const std::function<bool()>& condition, int milliseconds = 30'000);

/// Figures of a process from /proc.
std::uint64_t resident_bytes(pid_t pid);
int open_files(pid_t pid);
char state_of(pid_t pid);  ///< 'R', 'S', 'T', 'Z' …; 0: it is not there
bool is_gone(pid_t pid);   ///< a process that nobody has waited for yet is gone, too

}  // namespace signalbox::tests
