// Workers that are killed without warning: replaced at once, nothing that they had counted is lost, and only what they had
// in hand fails.
#include <signal.h>

#include <QElapsedTimer>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>
#include <algorithm>
#include <random>
#include <vector>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;
using tests::wait_for;

class TestKills : public QObject {
    Q_OBJECT
private slots:
    void killing_a_worker_every_100_ms_loses_no_count_and_leaks_nothing();
    void a_crash_is_reported_with_its_signal();
    void the_black_box_of_a_group_killed_whole_can_be_read();
};

namespace {

/// How many connections end with this worker: it is stopped first, so that no more get there. One that the kernel has
/// handed over and nobody has counted yet is added.
std::uint64_t held_by(const RunningGroup& group, const wire::Worker& victim) {
    const auto pid = static_cast<pid_t>(victim.pid);
    ::kill(pid, SIGSTOP);
    wait_for([pid] { return tests::state_of(pid) == 'T' || tests::is_gone(pid); });
    std::uint64_t held = 1;
    for (const wire::Worker& worker : group.view().workers()) {
        if (worker.pid != victim.pid) continue;
        held += worker.connections;
        for (const wire::AcceptQueue& queue : worker.queues)
            held += queue.depth;
    }
    return held;
}

}  // namespace

void TestKills::killing_a_worker_every_100_ms_loses_no_count_and_leaks_nothing() {
    RunningGroup group(3, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url() + "/hello", {"--rate", "200", "--connections", "8", "--duration", "100"});
    QVERIFY(wait_for([&] { return group.counters()["http_requests_total"] > 200; }));

    const auto agent = static_cast<pid_t>(group.view().group().agent_pid);
    const int arbiter_files = tests::open_files(group.arbiter());
    const int agent_files = tests::open_files(agent);
    std::uint64_t arbiter_memory = 0;
    std::uint64_t agent_memory = 0;
    constexpr int kKills = 200;
    std::mt19937 random(1);
    std::uint64_t before = 0;
    std::uint64_t in_flight = 0;
    std::vector<double> replaced_after_ms;
    QElapsedTimer clock;
    clock.start();
    for (int kill_number = 0; kill_number < kKills; ++kill_number) {
        const auto workers = group.view().workers();
        QVERIFY(!workers.empty());
        const wire::Worker victim = workers[random() % workers.size()];
        in_flight += held_by(group, victim);
        QElapsedTimer since;
        since.start();
        ::kill(static_cast<pid_t>(victim.pid), SIGKILL);
        // The replacement is there before the next one is killed, or this waits for it.
        QVERIFY2(wait_for([&] {
                     const wire::Worker now = group.worker(victim.slot);
                     return now.generation > victim.generation && now.state == wire::WorkerState::ready;
                 }),
                 group.log().constData());
        replaced_after_ms.push_back(static_cast<double>(since.nsecsElapsed()) / 1e6);
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
    QVERIFY(wait_for([&] { return group.all_ready(3); }));
    std::sort(replaced_after_ms.begin(), replaced_after_ms.end());
    qInfo("replaced after %.1f ms (median of %d; promised: 100)", replaced_after_ms[kKills / 2], kKills);
    QCOMPARE(tests::open_files(group.arbiter()), arbiter_files);
    QVERIFY(tests::open_files(agent) <= agent_files);
    QCOMPARE(group.view().group().agent_pid, static_cast<std::uint32_t>(agent));
    QVERIFY(tests::resident_bytes(group.arbiter()) <= arbiter_memory + 256 * 1024);
    QVERIFY2(tests::resident_bytes(agent) <= agent_memory + 2 * 1024 * 1024,
             qPrintable(QString("%1 → %2").arg(agent_memory).arg(tests::resident_bytes(agent))));

    const QJsonObject summary = load.finish(true);
    const auto failed = static_cast<std::uint64_t>(summary["failed"].toDouble());
    const auto answered = static_cast<std::uint64_t>(summary["requests"].toDouble()) - failed;
    QVERIFY(answered > 1000);
    // Nobody was refused and nobody waited in vain: what failed was with a worker that was killed.
    const QJsonObject failures = summary["failures"].toObject();
    const auto cut = static_cast<std::uint64_t>(failures["connection reset"].toDouble() +
                                                failures["closed before response"].toDouble());
    QVERIFY2(cut == failed && failed <= in_flight, QJsonDocument(summary).toJson());
    qInfo("%llu requests failed of %llu connections that were with the killed",
          static_cast<unsigned long long>(failed), static_cast<unsigned long long>(in_flight));
    // Every answered request was counted by somebody, dead or alive; a killed worker may have counted one it
    // never answered.
    QVERIFY(group.counters()["http_requests_total"] >= answered);
    // The same goes for connections: those of the killed have failed.
    QVERIFY2(wait_for([&] { return tests::balance_of(group).holds(); }),
             qPrintable(tests::balance_of(group).text()));
    QVERIFY(tests::balance_of(group).failed > 0);
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
