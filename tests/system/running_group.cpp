#include "tests/system/running_group.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <functional>

#include "agent/telemetry/collector.hpp"

namespace signalbox::tests {
namespace {

constexpr int kPatience = 30'000;

bool wait_for(const std::function<bool()>& condition, int milliseconds = kPatience) {
    QElapsedTimer timer;
    timer.start();
    while (!condition()) {
        if (timer.elapsed() > milliseconds) return false;
        struct timespec pause {
            0, 5'000'000
        };
        nanosleep(&pause, nullptr);
    }
    return true;
}

}  // namespace

QString program(const QString& name) {
    return QString::fromLocal8Bit(qgetenv("SIGNALBOX_BIN_DIR")) + "/" + name;
}

RunningGroup::RunningGroup(int workers, const QStringList& more_options) {
    // Arbiters that take over become children of this process.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    socket_ = directory_.filePath("agent.sock");
    set_program(program("mailroom"));
    process_.setStandardErrorFile(directory_.filePath("log"));
    process_.setStandardOutputFile(directory_.filePath("out"));  // a pipe would end with the first arbiter
    process_.setChildProcessModifier([] { ::setpgid(0, 0); });   // what kill_whole() kills
    process_.start(file("mailroom"),
                   QStringList{"--listen", "127.0.0.1:0", "--workers", QString::number(workers), "--agent",
                               socket_, "--segment", segment(), "--allow-misbehaviour"} +
                       more_options);
    process_.waitForStarted();
    pgid_ = static_cast<pid_t>(process_.processId());
    QByteArray said;
    const bool listening = wait_for([&] {
        process_.waitForFinished(20);
        QFile out(directory_.filePath("out"));
        if (out.open(QFile::ReadOnly)) said = out.readAll();
        return said.contains('\n') || process_.state() == QProcess::NotRunning;
    });
    if (!listening || !said.startsWith("listening on ")) {
        failure_ = "mailroom does not listen: " + process_.errorString() + said + log();
        return;
    }
    url_ = "http://" + QString::fromUtf8(said.mid(13)).section('\n', 0, 0).trimmed();
    view_ = std::make_unique<telemetry::SegmentView>(segment().toStdString());
    if (!wait_for([&] { return all_ready(static_cast<std::size_t>(workers)) && QFile::exists(socket_); }))
        failure_ = "the workers are not ready: " + log();
}

RunningGroup::~RunningGroup() {
    stop();
}

void RunningGroup::set_program(const QString& path) {
    QFile::remove(file("mailroom.new"));
    if (path.isEmpty())
        QFile::remove(file("mailroom"));
    else if (QFile::link(path, file("mailroom.new")))
        ::rename(qPrintable(file("mailroom.new")), qPrintable(file("mailroom")));
}

bool RunningGroup::follow_upgrade(const std::function<void()>& meanwhile) {
    const pid_t old = arbiter();
    pid_t fresh = 0;
    const bool taken_over = wait_for([&] {
        if (meanwhile) meanwhile();
        try {
            auto view = std::make_unique<telemetry::SegmentView>(segment().toStdString());
            fresh = static_cast<pid_t>(view->group().arbiter_pid);
            if (fresh == old || fresh == 0) return false;
            view_ = std::move(view);
            return true;
        } catch (const telemetry::SegmentError&) {
            return false;  // between two names
        }
    });
    if (!taken_over) return false;
    const bool ended = wait_for([&] {
        if (meanwhile) meanwhile();
        if (successor_ == 0) return process_.waitForFinished(0) || process_.state() == QProcess::NotRunning;
        return ::waitpid(old, nullptr, WNOHANG) == old;
    });
    successor_ = fresh;
    return ended;
}

int RunningGroup::processes() const {
    int count = 0;
    const auto group = static_cast<pid_t>(pgid_);
    for (const QString& entry : QDir("/proc").entryList(QDir::Dirs)) {
        bool is_pid = false;
        const pid_t pid = entry.toInt(&is_pid);
        QFile status("/proc/" + entry + "/stat");
        // One whose parent was killed is this process' child, which does not wait for it.
        if (is_pid && ::getpgid(pid) == group && status.open(QFile::ReadOnly) &&
            !status.readAll().contains(") Z "))
            ++count;
    }
    return count;
}

int RunningGroup::stop() {
    if (successor_ > 0) {
        int status = -1;
        const pid_t last = successor_;
        if (last > 1) ::kill(last, SIGTERM);
        const bool ended = wait_for([&] { return ::waitpid(last, &status, WNOHANG) == last; });
        if (!ended) ::kill(-pgid_, SIGKILL);
        successor_ = -1;
        return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    if (process_.state() == QProcess::NotRunning) return process_.exitCode();
    process_.terminate();
    if (process_.waitForFinished(kPatience))
        return process_.exitStatus() == QProcess::NormalExit ? process_.exitCode() : -1;
    process_.kill();
    process_.waitForFinished();
    return -1;
}

void RunningGroup::kill_whole() {
    const pid_t all = -arbiter();
    ::kill(all, SIGKILL);
    process_.waitForFinished();
    wait_for([all] { return ::kill(all, 0) != 0; });
}

QByteArray RunningGroup::log() const {
    QFile file(directory_.filePath("log"));
    return file.open(QFile::ReadOnly) ? file.readAll() : QByteArray();
}

bool RunningGroup::all_ready(std::size_t count) const {
    const auto workers = view_->workers();
    return workers.size() == count &&
           std::all_of(workers.begin(), workers.end(),
                       [](const wire::Worker& worker) { return worker.state == wire::WorkerState::ready; });
}

wire::Worker RunningGroup::worker(std::uint32_t slot) const {
    for (wire::Worker& worker : view_->workers())
        if (worker.slot == slot) return std::move(worker);
    return {};
}

std::map<std::string, std::uint64_t> RunningGroup::counters() const {
    telemetry::Collector collector(*view_);
    wire::Tick tick;
    wait_for([&] {
        tick = collector.collect();
        return !tick.series.empty();
    });
    std::map<std::uint32_t, std::string> names;
    for (const auto& instrument : collector.new_instruments())
        names[instrument.index] = instrument.name;
    std::map<std::string, std::uint64_t> counters;
    for (const auto& series : tick.series)
        for (const auto& sample : series.samples)
            if (const auto* delta = std::get_if<wire::CounterDelta>(&sample.value))
                counters[names[sample.instrument]] += delta->increase;
    return counters;
}

std::vector<telemetry::RawEvent> RunningGroup::events() const {
    std::vector<telemetry::RawEvent> events;
    std::uint64_t next = 0;
    view_->read_group_events(next, events);
    return events;
}

Load::Load(const QString& url, const QStringList& options) {
    process_.start(program("signalbox-load"), QStringList{url, "--json"} + options);
    process_.waitForStarted();
}

Load::~Load() {
    if (process_.state() != QProcess::NotRunning) finish(true);
}

QJsonObject Load::finish(bool early) {
    if (early) ::kill(static_cast<pid_t>(process_.processId()), SIGINT);
    if (!process_.waitForFinished(120'000)) process_.kill();
    return QJsonDocument::fromJson(process_.readAllStandardOutput()).object();
}

std::uint64_t resident_bytes(pid_t pid) {
    QFile file(QString("/proc/%1/statm").arg(pid));
    if (!file.open(QFile::ReadOnly)) return 0;
    return file.readAll().split(' ').value(1).toULongLong() * 4096;
}

int open_files(pid_t pid) {
    return static_cast<int>(QDir(QString("/proc/%1/fd").arg(pid))
                                .entryList(QDir::NoDotAndDotDot | QDir::AllEntries | QDir::System)
                                .size());
}

}  // namespace signalbox::tests
