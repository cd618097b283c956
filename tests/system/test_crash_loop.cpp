// Workers that crash when they start: tried ever more rarely, shown as degraded, and the good ones go on.
#include <signal.h>

#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;
using tests::wait_for;

class TestCrashLoop : public QObject {
    Q_OBJECT
private slots:
    void the_good_workers_serve_until_others_can_start();
};

void TestCrashLoop::the_good_workers_serve_until_others_can_start() {
    QTemporaryDir directory;
    const QString cause = directory.filePath("cause");
    RunningGroup group(2, {"--crash-at-start-if", cause});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const std::uint32_t good[] = {group.worker(0).pid, group.worker(1).pid};
    Load load(group.url() + "/hello", {"--rate", "300", "--duration", "100", "--new-connections"});
    QVERIFY(QFile(cause).open(QFile::WriteOnly));
    ::kill(group.arbiter(), SIGHUP);
    QVERIFY(wait_for([&] { return group.view().group().degraded; }));
    QCOMPARE(group.count("group_degraded"), 1);
    QVERIFY2(group.text_of("worker_crashed").contains("SIGSEGV"),
             qPrintable(group.text_of("worker_crashed")));
    // Each pause is longer than the one before: half to all of twice as long.
    std::vector<int> pauses;
    for (const auto& event : group.events())
        if (event.name == "worker_backs_off" && event.text.starts_with("Worker 0 "))
            pauses.push_back(
                QString::fromStdString(event.text).section(" ms", 0, 0).section(' ', -1).toInt());
    QVERIFY(pauses.size() >= 3);
    QVERIFY2(pauses.back() > pauses.front(), qPrintable(group.log()));
    // What served before does so still.
    const std::uint64_t before = group.counters()["http_requests_total"];
    QVERIFY(wait_for([&] { return group.counters()["http_requests_total"] > before + 300; }));
    for (const wire::Worker& worker : group.view().workers())
        if (worker.state == wire::WorkerState::ready) QVERIFY(worker.pid == good[0] || worker.pid == good[1]);
    QCOMPARE(group.count("worker_draining"), 0);

    QVERIFY(QFile::remove(cause));
    QVERIFY(wait_for([&] { return !group.view().group().degraded; }, 120'000));
    QVERIFY(wait_for([&] { return group.all_ready(2) && group.count("worker_exited") == 2; }, 120'000));
    for (const wire::Worker& worker : group.view().workers())
        QVERIFY(worker.pid != good[0] && worker.pid != good[1]);
    const QJsonObject summary = load.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
    QCOMPARE(group.stop(), 0);
}

QTEST_GUILESS_MAIN(TestCrashLoop)
#include "test_crash_loop.moc"
