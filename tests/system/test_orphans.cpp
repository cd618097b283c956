// The arbiter dies without a word: whoever it has started finishes what is open and ends by itself.
#include <signal.h>

#include <QElapsedTimer>
#include <QtTest>
#include <vector>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RawClient;
using tests::RunningGroup;
using tests::wait_for;

class TestOrphans : public QObject {
    Q_OBJECT
private slots:
    void workers_and_agent_end_when_the_arbiter_is_killed();
    void a_stuck_worker_ends_as_well();
};

namespace {

/// How long they take to go, in milliseconds; -1: for ever.
qint64 time_to_go(const RunningGroup& group) {
    std::vector<pid_t> orphans = {static_cast<pid_t>(group.view().group().agent_pid)};
    for (const wire::Worker& worker : group.view().workers())
        orphans.push_back(static_cast<pid_t>(worker.pid));
    QElapsedTimer clock;
    clock.start();
    ::kill(group.arbiter(), SIGKILL);
    return wait_for([&] { return std::all_of(orphans.begin(), orphans.end(), tests::is_gone); })
               ? clock.elapsed()
               : -1;
}

}  // namespace

void TestOrphans::workers_and_agent_end_when_the_arbiter_is_killed() {
    RunningGroup group(3, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url() + "/hello", {"--rate", "300", "--duration", "100", "--connections", "8"});
    QVERIFY(wait_for([&] { return group.counters()["http_requests_total"] > 300; }));
    RawClient patient(group, tests::request("POST /misbehave/sleep?milliseconds=1500"));
    QVERIFY(wait_for([&] { return group.counters()["connections_accepted_total"] >= 9; }));
    const qint64 took = time_to_go(group);
    QVERIFY(took >= 0);
    qInfo("workers and agent ended %lld ms after the arbiter, with a request of 1500 ms open", took);
    QCOMPARE(patient.status(), QByteArray("200"));
}

void TestOrphans::a_stuck_worker_ends_as_well() {
    RunningGroup group(2, {"--quiet", "--drain-deadline", "1s"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    RawClient client(group, tests::request("POST /misbehave/spin?seconds=3000"));
    QVERIFY(wait_for([&] {
        const auto workers = group.view().workers();
        return std::any_of(workers.begin(), workers.end(), [](const wire::Worker& worker) {
            return worker.state == wire::WorkerState::stalled;
        });
    }));
    const qint64 took = time_to_go(group);
    if (took < 0)  // this test leaves nothing running
        for (const wire::Worker& worker : group.view().workers())
            ::kill(static_cast<pid_t>(worker.pid), SIGKILL);
    QVERIFY(took >= 0);
    qInfo("workers, one of them stuck, and agent ended %lld ms after the arbiter; drain deadline 1000 ms",
          took);
}

QTEST_GUILESS_MAIN(TestOrphans)
#include "test_orphans.moc"
