// A real group (the mailroom example) on loopback, load on it, and its segment as a reader sees it.
#pragma once

#include <QByteArray>
#include <QProcess>
#include <QStringList>
#include <QTemporaryDir>
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
    /// Starts it and waits until all workers are ready; `failure()` says why not. With a --config among the options, it
    /// is the file that says how many workers.
    explicit RunningGroup(int workers, const QStringList& more_options = {});
    /// Ends it with SIGTERM, or harder.
    ~RunningGroup();

    QString failure() const { return failure_; }
    QString url() const { return url_; }                     ///< "http://127.0.0.1:41234"
    QString agent_url() const { return "unix:" + socket_; }  ///< for the console
    QString agent_socket() const { return socket_; }
    pid_t arbiter() const { return static_cast<pid_t>(process_.processId()); }
    QByteArray log() const;

    const telemetry::SegmentView& view() const { return *view_; }
    bool all_ready(std::size_t count) const;
    /// The newest generation in `slot`, or an empty one.
    wire::Worker worker(std::uint32_t slot) const;
    /// Totals of the whole group now, by counter name; labels are added up.
    std::map<std::string, std::uint64_t> counters() const;
    /// Group events so far.
    std::vector<telemetry::RawEvent> events() const;

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
