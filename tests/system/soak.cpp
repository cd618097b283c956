#include "tests/system/soak.hpp"

#include <signal.h>

#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <algorithm>
#include <cmath>
#include <thread>

#include "tests/support/memory.hpp"

namespace signalbox::tests {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 3;
constexpr std::chrono::seconds kJudgedFrom = 10min;
constexpr double kFilledAfter = 400;  // seconds
/// The agent keeps 1,000, so that they have filled up as well by then.
constexpr int kEventsPerSecond = 4;
constexpr double kMostGrowth = 0.01;
/// Of what a closed loop reaches beside the disturbances.
constexpr double kLoad = 0.75;

/// Busy and all time of all processors so far, in ticks.
std::pair<double, double> processor_time() {
    QFile file("/proc/stat");
    if (!file.open(QFile::ReadOnly)) return {0, 1};
    const QList<QByteArray> fields = file.readLine().simplified().split(' ');
    double all = 0;
    for (int i = 1; i <= 8 && i < fields.size(); ++i)
        all += fields[i].toDouble();
    return {all - fields.value(4).toDouble() - fields.value(5).toDouble(), all};
}

/// Of a straight line through them, over their whole time, as a part of their mean. (Least squares.)
double growth(const std::vector<std::pair<double, double>>& points) {
    double x = 0;
    double y = 0;
    for (const auto& [at, value] : points) {
        x += at / static_cast<double>(points.size());
        y += value / static_cast<double>(points.size());
    }
    double xy = 0;
    double xx = 0;
    for (const auto& [at, value] : points) {
        xy += (at - x) * (value - y);
        xx += (at - x) * (at - x);
    }
    return xx > 0 && y > 0 ? xy / xx * (points.back().first - points.front().first) / y : 0;
}

void send(const RunningGroup& group, const char* path) {
    RawClient(group, request(std::string("POST ") + path)).status();
}

}  // namespace

/// All workers are kept from their event loops for a moment, and more comes than their queues hold.
void Soak::burst(RunningGroup& group) const {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int worker = 0; worker < 2 * kWorkers; ++worker)
        clients.push_back(
            std::make_unique<RawClient>(group, request("POST /misbehave/block?milliseconds=200")));
    for (int client = 0; client < 150; ++client)
        clients.push_back(std::make_unique<RawClient>(group, request("GET /hello")));
    for (const auto& client : clients)
        client->status();
}

void Soak::disturb(RunningGroup& group, int second) {
    send(group, "/misbehave/leak?bytes=24MiB");
    send(group, "/misbehave/leak-files?count=10");
    for (int event = 0; event < kEventsPerSecond; ++event)
        send(group, "/misbehave/fail");
    RawClient vanishes(group, "POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nSubject: ");
    if (second % 5 == 1) burst(group);
    if (second % 20 == 9) ::kill(group.arbiter(), SIGHUP);
}

Soak::Sample Soak::look(const RunningGroup& group, double second) const {
    const auto agent = static_cast<pid_t>(group.view().group().agent_pid);
    return {second, static_cast<double>(anonymous_bytes(group.arbiter())),
            static_cast<double>(anonymous_bytes(agent)), open_files(group.arbiter()), open_files(agent)};
}

Soak::Report Soak::run() {
    Report report;
    RunningGroup group(kWorkers, {"--quiet", "--memory-limit", "96MiB", "--queue-capacity", "16"});
    if (!group.failure().isEmpty()) return {{group.failure()}, {}};
    group.ctl({"set", "worker_open_files_limit", "120"});
    group.ctl({"set", "worker_request_limit", "200000"});

    Load probe(group.url(), {"--scenario", "mailroom", "--duration", "2"});
    const double rate = probe.finish()["rate"].toDouble() * kLoad;
    const auto seconds = QString::number(duration_.count());
    Load kept(group.url(),
              {"--scenario", "mailroom", "--rate", QString::number(rate), "--duration", seconds});
    Load fresh(group.url() + "/hello", {"--rate", "50", "--new-connections", "--duration", seconds});

    const auto busy_before = processor_time();
    QElapsedTimer clock;
    clock.start();
    for (int second = 0; clock.elapsed() < duration_ / 1ms; ++second) {
        disturb(group, second);
        samples_.push_back(look(group, static_cast<double>(clock.elapsed()) / 1e3));
        const auto rest = 1000ll * (second + 1) - clock.elapsed();
        if (rest > 0) std::this_thread::sleep_for(std::chrono::milliseconds(rest));  // the pace
    }
    const auto busy = processor_time();
    report.figures << QString("%1 requests/s; the machine was busy for %2 %")
                          .arg(rate, 0, 'f', 0)
                          .arg(100 * (busy.first - busy_before.first) / (busy.second - busy_before.second), 0,
                               'f', 0);
    judge_load("kept connections", kept.finish(), report);
    judge_load("new connections", fresh.finish(), report);
    judge_counts(group, report);
    judge_steadiness(report);
    if (const int status = group.stop(); status != 0)
        report.faults << QString("the group ended with status %1").arg(status);
    return report;
}

/// A burst may cost others a 503, and nothing else.
void Soak::judge_load(const QString& name, const QJsonObject& summary, Report& report) const {
    const int failed = summary["failed"].toInt(-1);
    const int shed = summary["statuses"].toObject()["503"].toInt();
    report.figures << QString("%1: %2 requests, %3 of them got 503")
                          .arg(name)
                          .arg(summary["requests"].toInt())
                          .arg(shed);
    if (failed != shed)
        report.faults << name + ": requests failed: " + QString::fromUtf8(QJsonDocument(summary).toJson());
}

void Soak::judge_counts(const RunningGroup& group, Report& report) const {
    const bool holds = wait_for([&] { return balance_of(group).holds(); });
    const Balance balance = balance_of(group);
    report.figures << balance.text();
    if (!holds) report.faults << "the counts do not balance: " + balance.text();
    report.figures << QString("cycled for memory %1 times, for open files %2 times, for requests %3 times")
                          .arg(group.count("memory_limit"))
                          .arg(group.count("open_files_limit"))
                          .arg(group.count("request_limit"));
    if (balance.shed == 0) report.faults << "nothing was shed: that is not tested";
    if (balance.failed == 0) report.faults << "no connection failed: that is not tested";
    if (group.count("worker_exited") == 0) report.faults << "no worker was cycled: that is not tested";
    if (group.count("worker_died") != 0) report.faults << "a worker died: " + group.text_of("worker_died");
}

void Soak::judge_steadiness(Report& report) const {
    const bool judged = duration_ >= kJudgedFrom;
    const double from = judged ? kFilledAfter : samples_.back().second / 2;
    const auto steady = std::find_if(samples_.begin(), samples_.end() - 1,
                                     [from](const Sample& sample) { return sample.second >= from; });
    const auto judge = [&](const char* name, double Sample::*bytes, int Sample::*files) {
        std::vector<std::pair<double, double>> points;
        int most_files = 0;
        for (auto sample = steady; sample != samples_.end(); ++sample) {
            points.emplace_back(sample->second, (*sample).*bytes);
            most_files = std::max(most_files, (*sample).*files);
        }
        const double grown = growth(points);
        const int first_files = (*steady).*files;
        report.figures << QString("%1: %2 KiB, %3 % more in the last %4 s; %5 descriptors, at most %6")
                              .arg(name)
                              .arg(points.back().second / 1024, 0, 'f', 0)
                              .arg(100 * grown, 0, 'f', 2)
                              .arg(points.back().first - points.front().first, 0, 'f', 0)
                              .arg(first_files)
                              .arg(most_files);
        if (judged && grown > kMostGrowth) report.faults << QString("the memory of the %1 grows").arg(name);
        if (samples_.back().*files > first_files)
            report.faults << QString("the %1 leaks descriptors").arg(name);
    };
    judge("arbiter", &Sample::arbiter_bytes, &Sample::arbiter_files);
    judge("agent", &Sample::agent_bytes, &Sample::agent_files);
}

}  // namespace signalbox::tests
