// Workers whose event loop never turns again, for different reasons: found, replaced, and what they were stuck in is kept.
#include <signal.h>

#include <QElapsedTimer>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>

#include "agent/telemetry/seat.hpp"
#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RawClient;
using tests::RunningGroup;
using tests::wait_for;

class TestWedges : public QObject {
    Q_OBJECT
private slots:
    void is_replaced_and_its_stack_kept_data();
    void is_replaced_and_its_stack_kept();
};

namespace {

wire::Worker busy_with(const RunningGroup& group, const std::string& what) {
    for (const wire::Worker& worker : group.view().workers())
        if (worker.activity.find(what) != std::string::npos) return worker;
    return {};
}

std::uint64_t time_of(const RunningGroup& group, const std::string& name) {
    for (const auto& event : group.events())
        if (event.name == name) return event.monotonic_ns;
    return 0;
}

/// As signalbox-inspect names them.
QStringList frames_of_crash(const RunningGroup& group) {
    QProcess inspect;
    inspect.start(tests::program("signalbox-inspect"), {group.segment()});
    inspect.waitForFinished();
    return QString::fromUtf8(inspect.readAllStandardOutput())
        .split('\n')
        .filter(QRegularExpression("^  #[0-9]+ "));
}

}  // namespace

void TestWedges::is_replaced_and_its_stack_kept_data() {
    QTest::addColumn<QString>("path");
    QTest::addColumn<bool>("stopped");
    QTest::addColumn<QString>("guilty");
    QTest::addColumn<QString>("state");
    QTest::newRow("spins") << "/misbehave/spin?seconds=3000" << false << "spin"
                           << "it is running";
    QTest::newRow("waits for itself") << "/misbehave/deadlock" << false << "deadlock"
                                      << "it sleeps in";
    QTest::newRow("is stopped") << "/misbehave/spin?seconds=3000" << true << "spin"
                                << "it is stopped";
}

void TestWedges::is_replaced_and_its_stack_kept() {
    QFETCH(QString, path);
    QFETCH(bool, stopped);
    QFETCH(QString, guilty);
    QFETCH(QString, state);
    RunningGroup group(3, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(group.ctl({"set", "wedge_timeout", "2s"}), 0);
    RawClient client(group, tests::request("POST " + path.toStdString()));
    wire::Worker victim;
    QVERIFY(wait_for([&] { return (victim = busy_with(group, "/misbehave")).pid != 0; }));
    if (stopped) ::kill(static_cast<pid_t>(victim.pid), SIGSTOP);
    const std::uint64_t wedged_at = telemetry::monotonic_ns();
    // Those that the victim has accepted end with it, and no others.
    Load load(group.url() + "/hello", {"--rate", "200", "--duration", "100", "--new-connections"});
    QVERIFY(wait_for([&] { return group.count("worker_wedged") == 1; }));
    const double took = static_cast<double>(time_of(group, "worker_wedged") - wedged_at) / 1e6;
    qInfo("found wedged after %.0f ms; wedge_timeout 2000 ms", took);
    QVERIFY2(group.text_of("worker_wedged").contains(state), qPrintable(group.text_of("worker_wedged")));

    QVERIFY(wait_for([&] { return group.view().crashes().size() == 1; }));
    QVERIFY(wait_for(
        [&] { return group.all_ready(3) && group.worker(victim.slot).generation > victim.generation; }));
    const QStringList frames = frames_of_crash(group);
    QVERIFY2(frames.filter(guilty).size() == 1, qPrintable(frames.join('\n')));

    const QJsonObject summary = load.finish(true);
    const QJsonObject failures = summary["failures"].toObject();
    QVERIFY2(summary["failed"].toInt() ==
                 failures["connection reset"].toInt() + failures["closed before response"].toInt(),
             QJsonDocument(summary).toJson());
    // The client of the wedged request is one of those that failed.
    const tests::Balance balance = tests::balance_of(group);
    QVERIFY2(summary["failed"].toInt() + 1u <= balance.failed, qPrintable(balance.text()));
    QVERIFY2(balance.failed <= 30, qPrintable(balance.text()));
}

QTEST_GUILESS_MAIN(TestWedges)
#include "test_wedges.moc"
