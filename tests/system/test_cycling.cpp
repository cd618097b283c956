// Replacing workers under load drops no request.
#include <signal.h>

#include <QJsonObject>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;

class TestCycling : public QObject {
    Q_OBJECT
private slots:
    void cycling_all_workers_drops_no_request_data();
    void cycling_all_workers_drops_no_request();
    void scaling_up_and_down_drops_no_request();
    void a_leaking_worker_is_cycled_after_its_replacement_is_ready();
};

namespace {

/// Ends the load and looks at what it saw; before that, some more requests go to the workers that are there
/// now.
void verify_no_failure(RunningGroup& group, Load& load) {
    const std::uint64_t before = group.counters()["http_requests_total"];
    QTRY_VERIFY(group.counters()["http_requests_total"] > before + 100);
    const QJsonObject summary = load.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
}

}  // namespace

void TestCycling::cycling_all_workers_drops_no_request_data() {
    QTest::addColumn<QStringList>("options");
    QTest::newRow("new connections") << QStringList{"--new-connections"};
    QTest::newRow("kept connections") << QStringList{"--connections", "16"};
}

void TestCycling::cycling_all_workers_drops_no_request() {
    QFETCH(QStringList, options);
    RunningGroup group(4, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url() + "/hello", QStringList{"--rate", "500", "--duration", "100"} + options);
    QTRY_VERIFY(group.counters()["http_requests_total"] > 500);
    for (int round = 1; round <= 3; ++round) {
        ::kill(group.arbiter(), SIGHUP);
        QTRY_COMPARE_WITH_TIMEOUT(group.count("worker_exited"), 4L * round, 30'000);
        QTRY_VERIFY(group.all_ready(4));
    }
    for (const wire::Worker& worker : group.view().workers())
        QVERIFY(worker.generation > 12);
    verify_no_failure(group, load);
    QCOMPARE(group.stop(), 0);
}

void TestCycling::scaling_up_and_down_drops_no_request() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url() + "/hello", {"--rate", "500", "--duration", "100", "--new-connections"});
    QTRY_VERIFY(group.counters()["http_requests_total"] > 100);
    for (const char* workers : {"8", "2"}) {
        QCOMPARE(QProcess::execute(tests::program("signalboxctl"), {group.agent_url(), "scale", workers}), 0);
        QTRY_VERIFY_WITH_TIMEOUT(group.all_ready(static_cast<std::size_t>(atoi(workers))), 30'000);
    }
    verify_no_failure(group, load);
}

void TestCycling::a_leaking_worker_is_cycled_after_its_replacement_is_ready() {
    RunningGroup group(2, {"--quiet", "--memory-limit", "96MiB"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url() + "/hello", {"--rate", "200", "--duration", "100", "--new-connections"});
    QTRY_VERIFY_WITH_TIMEOUT((QProcess::execute("curl", {"-fsS", "-o", "/dev/null", "-X", "POST",
                                                         group.url() + "/misbehave/leak?bytes=30000000"}),
                              group.count("worker_exited") >= 1),
                             30'000);
    QVERIFY(group.count("memory_limit") >= 1);
    const auto events = group.events();
    const auto draining =
        std::find_if(events.begin(), events.end(), [](auto& e) { return e.name == "worker_draining"; });
    QVERIFY(draining != events.end());
    QCOMPARE((draining - 1)->name, std::string("worker_ready"));
    verify_no_failure(group, load);
}

QTEST_GUILESS_MAIN(TestCycling)
#include "test_cycling.moc"
