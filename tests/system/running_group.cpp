#include "tests/system/running_group.hpp"

#include <signal.h>
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
    socket_ = directory_.filePath("agent.sock");
    process_.setStandardErrorFile(directory_.filePath("log"));
    process_.setChildProcessModifier([] { ::setpgid(0, 0); });  // what kill_whole() kills
    QStringList options = {"--listen",  "127.0.0.1:0", "--agent", socket_,
                           "--segment", segment(),     "--allow-misbehaviour"};
    if (!more_options.contains("--config")) options += {"--workers", QString::number(workers)};
    process_.start(program("mailroom"), options + more_options);
    QByteArray said;
    const bool listening = wait_for([&] {
        process_.waitForReadyRead(20);
        said += process_.readAllStandardOutput();
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

int RunningGroup::stop() {
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
