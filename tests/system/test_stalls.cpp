// A worker that is stuck or stopped stays visible, with what it was at and all its figures.
#include <signal.h>

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::RunningGroup;

class TestStalls : public QObject {
    Q_OBJECT
private slots:
    void a_stopped_worker_is_shown_as_stalled_with_its_activity();
    void a_spinning_worker_swallows_no_connection();
};

namespace {

/// What any client of the agent sees.
QJsonArray workers_as_seen(const RunningGroup& group) {
    QProcess ctl;
    ctl.start(tests::program("signalboxctl"), {group.agent_url(), "workers", "--json"});
    ctl.waitForFinished();
    const QJsonDocument answer = QJsonDocument::fromJson(ctl.readAllStandardOutput());
    return answer.isArray() ? answer.array() : answer.object()["workers"].toArray();
}

QJsonObject worker_as_seen(const RunningGroup& group, std::uint32_t pid) {
    for (const auto& worker : workers_as_seen(group))
        if (worker.toObject()["pid"].toInt() == static_cast<int>(pid)) return worker.toObject();
    return {};
}

}  // namespace

void TestStalls::a_stopped_worker_is_shown_as_stalled_with_its_activity() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    // It is in the middle of a request when it is stopped.
    QProcess client;
    client.start("curl", {"-s", "-m", "30", "-X", "POST", group.url() + "/misbehave/spin?seconds=20"});
    const auto busy = [&] {
        for (const wire::Worker& worker : group.view().workers())
            if (worker.activity.find("spin") != std::string::npos) return worker;
        return wire::Worker{};
    };
    QTRY_VERIFY(busy().pid != 0);
    const wire::Worker victim = busy();
    ::kill(static_cast<pid_t>(victim.pid), SIGSTOP);
    QTRY_COMPARE(worker_as_seen(group, victim.pid)["state"].toString(), QString("stalled"));
    const QJsonObject seen = worker_as_seen(group, victim.pid);
    QVERIFY2(seen["activity"].toString().contains("/misbehave/spin"),
             qPrintable(seen["activity"].toString()));
    QVERIFY(seen["resident_bytes"].toDouble() > 0);
    QVERIFY(seen["heartbeat_age_seconds"].toDouble() > 0.5);
    // The others serve as if nothing had happened.
    for (int i = 0; i < 20; ++i)
        QCOMPARE(QProcess::execute("curl", {"-fsS", "-m", "5", "-o", "/dev/null", group.url() + "/hello"}),
                 0);
    ::kill(static_cast<pid_t>(victim.pid), SIGKILL);
    client.kill();
    client.waitForFinished();
}

void TestStalls::a_spinning_worker_swallows_no_connection() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QProcess client;
    client.start("curl", {"-s", "-m", "30", "-X", "POST", group.url() + "/misbehave/spin?seconds=8"});
    const auto spins = [&] {
        for (const wire::Worker& worker : group.view().workers())
            if (worker.state == wire::WorkerState::stalled) return true;
        return false;
    };
    QTRY_VERIFY(spins());
    tests::Load load(group.url() + "/hello", {"--rate", "100", "--duration", "3", "--new-connections"});
    const QJsonObject summary = load.finish();
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
    QVERIFY2(spins(), "the spin ended before the load did: nothing was shown");
    // Nobody had to wait for the end of the spin.
    const double longest = summary["latency_seconds"].toObject()["max"].toDouble(99);
    QVERIFY2(longest < 4.0, QJsonDocument(summary).toJson());
    client.kill();
    client.waitForFinished();
}

QTEST_GUILESS_MAIN(TestStalls)
#include "test_stalls.moc"
