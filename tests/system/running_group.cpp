#include "tests/system/running_group.hpp"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <algorithm>
#include <cerrno>

#include "agent/telemetry/collector.hpp"

namespace signalbox::tests {
bool wait_for(const std::function<bool()>& condition, int milliseconds) {
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

QString program(const QString& name) {
    return QString::fromLocal8Bit(qgetenv("SIGNALBOX_BIN_DIR")) + "/" + name;
}

RunningGroup::RunningGroup(int workers, const QStringList& more_options, std::function<void()> in_arbiter) {
    // Arbiters that take over become children of this process.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    socket_ = directory_.filePath("agent.sock");
    set_program(program("mailroom"));
    process_.setStandardErrorFile(directory_.filePath("log"));
    process_.setStandardOutputFile(directory_.filePath("out"));  // a pipe would end with the first arbiter
    process_.setChildProcessModifier([in_arbiter = std::move(in_arbiter)] {
        ::setpgid(0, 0);  // what kill_whole() kills
        if (in_arbiter) in_arbiter();
    });
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
    if (process_.waitForFinished(30'000))
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

long RunningGroup::count(const std::string& name) const {
    const auto all = events();
    return std::count_if(all.begin(), all.end(), [&](const auto& event) { return event.name == name; });
}

QString RunningGroup::text_of(const std::string& name) const {
    QString text;
    for (const auto& event : events())
        if (event.name == name) text = QString::fromStdString(event.text);
    return text;
}

int RunningGroup::ctl(const QStringList& arguments) const {
    return QProcess::execute(program("signalboxctl"), QStringList{agent_url()} + arguments);
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

RawClient::RawClient(const RunningGroup& group, const std::string& bytes)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(group.url().section(':', -1).toUShort());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

RawClient::~RawClient() {
    ::close(socket_);
}

bool RawClient::has_ended() const {
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

QByteArray RawClient::status() {
    QByteArray answer;
    char bytes[4096];
    for (ssize_t got; (got = ::recv(socket_, bytes, sizeof bytes, 0)) > 0;)
        answer.append(bytes, got);
    return answer.mid(9, 3);
}

std::string request(const std::string& method_and_path) {
    return method_and_path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
}

QString Balance::text() const {
    return QString("accepted %1, served %2, shed %3, failed %4, open %5")
        .arg(accepted)
        .arg(served)
        .arg(shed)
        .arg(failed)
        .arg(open);
}

Balance balance_of(const RunningGroup& group) {
    auto counters = group.counters();
    Balance balance{counters["connections_accepted_total"], counters["connections_served_total"],
                    counters["connections_shed_total"], counters["connections_failed_total"], 0};
    for (const wire::Worker& worker : group.view().workers()) {
        balance.open += worker.connections;
        for (const wire::AcceptQueue& queue : worker.queues)
            balance.open += queue.depth;
    }
    return balance;
}

char state_of(pid_t pid) {
    QFile file(QString("/proc/%1/stat").arg(pid));
    if (!file.open(QFile::ReadOnly)) return 0;
    const QByteArray text = file.readAll();  // the name, in parentheses, may hold anything
    const auto at = text.lastIndexOf(')') + 2;
    return at < text.size() ? text[at] : '\0';
}

bool is_gone(pid_t pid) {
    const char state = state_of(pid);
    return state == 0 || state == 'Z' || state == 'X';
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
