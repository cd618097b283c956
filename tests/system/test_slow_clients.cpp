// Thousands of clients that send their headers ever so slowly: the others are served as if there were none.
#include <sys/resource.h>

#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QStandardPaths>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;
using tests::wait_for;

class TestSlowClients : public QObject {
    Q_OBJECT
private slots:
    void others_are_served_while_slow_ones_take_every_descriptor();
};

namespace {

constexpr int kSlowClients = 2'000;

double p99_milliseconds(const QJsonObject& summary) {
    return summary["latency_seconds"].toObject()["p99"].toDouble() * 1e3;
}

}  // namespace

void TestSlowClients::others_are_served_while_slow_ones_take_every_descriptor() {
    const QString slowhttptest = QStandardPaths::findExecutable("slowhttptest");
    if (slowhttptest.isEmpty()) QSKIP("slowhttptest is not installed (packages.txt, [test])");
    // Two workers could hold half of them.
    RunningGroup group(2, {"--quiet"}, [] {
        const rlimit few{.rlim_cur = 512, .rlim_max = 4096};
        ::setrlimit(RLIMIT_NOFILE, &few);
    });
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const QStringList options{"--rate", "100", "--duration", "100", "--new-connections"};
    Load undisturbed(group.url() + "/hello", options);
    QVERIFY(wait_for([&] { return group.counters()["http_requests_total"] > 300; }));
    const double before = p99_milliseconds(undisturbed.finish(true));

    QProcess slow;
    slow.setStandardOutputFile(QProcess::nullDevice());
    slow.start(slowhttptest, {"-H", "-c", QString::number(kSlowClients), "-r", "400", "-i", "2", "-l", "300",
                              "-u", group.url() + "/hello"});
    QVERIFY(slow.waitForStarted());
    Load load(group.url() + "/hello", options);
    const auto connected = [&] { return group.counters()["connections_accepted_total"] > kSlowClients; };
    QVERIFY2(wait_for(connected, 60'000), qPrintable(tests::balance_of(group).text()));
    // Full: old ones have made way for new ones.
    QVERIFY(wait_for([&] { return group.counters()["connections_shed_total"] > 0; }));
    const std::uint64_t answered = group.counters()["http_requests_total"];
    QVERIFY(wait_for([&] { return group.counters()["http_requests_total"] > answered + 200; }));
    const QJsonObject summary = load.finish(true);
    slow.kill();
    slow.waitForFinished();
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
    qInfo("p99 %.1f ms beside %d slow clients, %.1f ms undisturbed; %s", p99_milliseconds(summary),
          kSlowClients, before, qPrintable(tests::balance_of(group).text()));
    QVERIFY(group.all_ready(2));
    QCOMPARE(group.worker(0).generation + group.worker(1).generation, 3u);
}

QTEST_GUILESS_MAIN(TestSlowClients)
#include "test_slow_clients.moc"
