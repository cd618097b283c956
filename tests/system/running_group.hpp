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
    explicit RunningGroup(int workers, const QStringList& more_options = {});
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
    /// Group events so far.
    std::vector<telemetry::RawEvent> events() const;

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

/// Figures of a process from /proc.
std::uint64_t resident_bytes(pid_t pid);
int open_files(pid_t pid);

}  // namespace signalbox::tests
