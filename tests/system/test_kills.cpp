// Workers that are killed without warning: replaced at once, and nothing that they had counted is lost.
#include <signal.h>

#include <QElapsedTimer>
#include <QJsonObject>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;

class TestKills : public QObject {
    Q_OBJECT
private slots:
    void killing_a_worker_every_100_ms_loses_no_count_and_leaks_nothing();
    void a_crash_is_reported_with_its_signal();
    void when_the_arbiter_is_killed_nobody_stays();
    void the_black_box_of_a_group_killed_whole_can_be_read();
};

void TestKills::killing_a_worker_every_100_ms_loses_no_count_and_leaks_nothing() {
    RunningGroup group(3, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url() + "/hello", {"--rate", "200", "--connections", "8", "--duration", "60"});
    QTRY_VERIFY(group.counters()["http_requests_total"] > 200);

    const auto agent = static_cast<pid_t>(group.view().group().agent_pid);
    const int arbiter_files = tests::open_files(group.arbiter());
    const int agent_files = tests::open_files(agent);
    std::uint64_t arbiter_memory = 0;
    std::uint64_t agent_memory = 0;
    constexpr int kKills = 200;
    std::uint64_t before = 0;
    QElapsedTimer clock;
    clock.start();
    for (int kill_number = 0; kill_number < kKills; ++kill_number) {
        const auto workers = group.view().workers();
        QVERIFY(!workers.empty());
        const wire::Worker victim = workers[static_cast<std::size_t>(kill_number) % workers.size()];
        ::kill(static_cast<pid_t>(victim.pid), SIGKILL);
        // The replacement is there before the next one is killed, or this waits for it.
        QTRY_VERIFY2(group.worker(victim.slot).generation > victim.generation &&
                         group.worker(victim.slot).state == wire::WorkerState::ready,
                     group.log().constData());
        const std::uint64_t total = group.counters()["http_requests_total"];
        QVERIFY2(total >= before, "a total fell");
        before = total;
        // The first fifth warms up: rings, history and heap reach their sizes.
        if (kill_number == kKills / 5) {
            arbiter_memory = tests::resident_bytes(group.arbiter());
            agent_memory = tests::resident_bytes(agent);
        }
        const int rest = 100 * (kill_number + 1) - static_cast<int>(clock.elapsed());
        if (rest > 0) QTest::qSleep(rest);  // the pace of the kills, not a wait
    }
    QTRY_VERIFY(group.all_ready(3));
    QCOMPARE(tests::open_files(group.arbiter()), arbiter_files);
    QVERIFY(tests::open_files(agent) <= agent_files);
    QCOMPARE(group.view().group().agent_pid, static_cast<std::uint32_t>(agent));
    QVERIFY(tests::resident_bytes(group.arbiter()) <= arbiter_memory + 256 * 1024);
    QVERIFY2(tests::resident_bytes(agent) <= agent_memory + 2 * 1024 * 1024,
             qPrintable(QString("%1 → %2").arg(agent_memory).arg(tests::resident_bytes(agent))));

    const QJsonObject summary = load.finish(true);
    const auto answered =
        static_cast<std::uint64_t>(summary["requests"].toDouble() - summary["failed"].toDouble());
    QVERIFY(answered > 1000);
    // Every answered request was counted by somebody, dead or alive; a killed worker may have counted one it
    // never answered.
    QVERIFY(group.counters()["http_requests_total"] >= answered);
    QCOMPARE(group.stop(), 0);
}

void TestKills::a_crash_is_reported_with_its_signal() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QProcess::execute("curl", {"-s", "-m", "5", "-X", "POST", group.url() + "/misbehave/crash"});
    const auto died = [&] {
        for (const auto& event : group.events())
            if (event.name == "worker_died") return QString::fromStdString(event.text);
        return QString();
    };
    QTRY_VERIFY(!died().isEmpty());
    QVERIFY2(died().contains("SIGSEGV"), qPrintable(died()));
    QTRY_VERIFY(group.all_ready(2));
}

void TestKills::when_the_arbiter_is_killed_nobody_stays() {
    RunningGroup group(3, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(group.processes(), 5);
    ::kill(group.arbiter(), SIGKILL);
    QTRY_COMPARE(group.processes(), 0);
}

void TestKills::the_black_box_of_a_group_killed_whole_can_be_read() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(QProcess::execute("curl", {"-fsS", "-o", "/dev/null", group.url() + "/hello"}), 0);
    std::vector<pid_t> pids = {group.arbiter(), static_cast<pid_t>(group.view().group().agent_pid)};
    for (const auto& worker : group.view().workers())
        pids.push_back(static_cast<pid_t>(worker.pid));
    for (const pid_t pid : pids)
        ::kill(pid, SIGKILL);
    for (std::size_t i = 2; i < pids.size(); ++i)
        QTRY_VERIFY(::kill(pids[i], 0) != 0);
    QCOMPARE(group.view().workers().size(), 2u);
    QCOMPARE(group.counters()["http_requests_total"], 1u);
    QVERIFY(!group.events().empty());
}

QTEST_GUILESS_MAIN(TestKills)
#include "test_kills.moc"
