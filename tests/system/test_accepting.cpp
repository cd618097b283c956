// However connections are accepted, replacing, scaling and killing workers under load fails none that was not with a killed
// one.
#include <signal.h>

#include <QElapsedTimer>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RawClient;
using tests::RunningGroup;

class TestAccepting : public QObject {
    Q_OBJECT
private slots:
    void a_rolling_cycle_and_scaling_fail_no_request_data();
    void a_rolling_cycle_and_scaling_fail_no_request();
    void a_silent_client_is_seen_later();
};

void TestAccepting::a_rolling_cycle_and_scaling_fail_no_request_data() {
    QTest::addColumn<QString>("mode");
    for (const char* mode : {"queue", "exclusive", "reuseport"})
        QTest::newRow(mode) << mode;
}

void TestAccepting::a_rolling_cycle_and_scaling_fail_no_request() {
    QFETCH(QString, mode);
    RunningGroup group(3, {"--quiet", "--accept", mode});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url() + "/hello", {"--rate", "300", "--duration", "100", "--new-connections"});
    QTRY_VERIFY(group.counters()["http_requests_total"] > 100);
    ::kill(group.arbiter(), SIGHUP);
    QTRY_VERIFY_WITH_TIMEOUT(group.worker(0).generation > 3 && group.worker(1).generation > 3 &&
                                 group.worker(2).generation > 3 && group.all_ready(3),
                             60'000);
    for (const char* workers : {"6", "2"}) {
        QCOMPARE(QProcess::execute(tests::program("signalboxctl"), {group.agent_url(), "scale", workers}), 0);
        QTRY_VERIFY_WITH_TIMEOUT(group.all_ready(static_cast<std::size_t>(atoi(workers))), 60'000);
    }
    const std::uint64_t before = group.counters()["http_requests_total"];
    QTRY_VERIFY(group.counters()["http_requests_total"] > before + 200);
    const QJsonObject summary = load.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
    QCOMPARE(group.stop(), 0);
}

/// Nobody is woken for a connection without a request; but it does not stay unseen.
void TestAccepting::a_silent_client_is_seen_later() {
    RunningGroup group(1, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const auto accepted = [&] { return group.counters()["connections_accepted_total"]; };
    const std::uint64_t before = accepted();
    QElapsedTimer clock;
    clock.start();
    const RawClient silent(group, "");
    QCOMPARE(RawClient(group, tests::request("GET /hello")).status(), QByteArray("200"));
    const std::uint64_t at_first = accepted();
    if (clock.elapsed() < 900) QCOMPARE(at_first, before + 1);
    QTRY_COMPARE(accepted(), before + 2);
    QVERIFY(!silent.has_ended());
    QCOMPARE(group.stop(), 0);
}

QTEST_GUILESS_MAIN(TestAccepting)
#include "test_accepting.moc"
