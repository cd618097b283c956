// How a group lives: workers that have had enough are replaced, failing ones are not tried too often, and signals
// scale it.
#include <signal.h>
#include <sysexits.h>

#include <QtTest>

#include "tests/agent/supervisor/running_arbiter.hpp"

using namespace signalbox;
using namespace signalbox::tests;
using telemetry::SeatWriter;

class TestLiving : public QObject {
    Q_OBJECT
private slots:
    void a_worker_beyond_its_requests_is_replaced_and_the_event_says_why();
    void a_worker_with_too_many_files_is_replaced();
    void an_old_worker_is_replaced();
    void a_loop_that_is_late_again_and_again_is_replaced();
    void limits_take_one_worker_at_a_time();
    void a_limit_that_successors_pass_at_once_is_enforced_ever_more_slowly();
    void what_somebody_asks_for_goes_before_what_limits_want();
    void a_failing_successor_leaves_the_worker_that_serves_alone();
    void a_group_recovers_when_its_workers_live();
    void ttin_and_ttou_scale_by_one_within_the_bounds();
    void usr1_reaches_all_workers_and_harms_none();
};

namespace {

/// What the first generations do, the others just live.
ArbiterConfig with_first(unsigned workers, const std::function<void(SeatWriter&)>& begin) {
    ArbiterConfig config = with_workers(workers);
    config.worker = [begin, workers](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() <= workers) begin(seat);
        return live(seat, notify);
    };
    return config;
}

void answer(SeatWriter& seat, int requests) {
    for (int i = 0; i < requests; ++i)
        seat.count_request();
}

/// More were starting at the same time, after the first ones, than this.
int most_starting_at_once(const Running& group, int first) {
    int starting = -first;
    int most = 0;
    int before = first;
    for (const std::string& event : group.events()) {
        if (event == "worker_starting") ++starting;
        if (event == "worker_ready" && before-- <= 0) --starting;
        most = std::max(most, starting);
    }
    return most;
}

}  // namespace

void TestLiving::a_worker_beyond_its_requests_is_replaced_and_the_event_says_why() {
    ArbiterConfig config = with_first(1, [](SeatWriter& seat) { answer(seat, 12'000); });
    config.roster.limits.requests = 10'000;
    Running group(config);
    QTRY_VERIFY(group.all_ready(1) && group.view().workers()[0].generation == 2);
    QCOMPARE(group.count("request_limit"), 1);
    const QString text = QString::fromStdString(group.last_text("request_limit"));
    QVERIFY2(text.contains("is cycled: 12,000 requests, limit 10,"), qPrintable(text));
    const QString why = QString::fromStdString(group.last_text("worker_draining"));
    QVERIFY2(why.contains("generation 1) is told to drain: 12,000 requests, limit 10,"), qPrintable(why));
    QTRY_COMPARE(group.count("worker_exited"), 1);
}

void TestLiving::a_worker_with_too_many_files_is_replaced() {
    ArbiterConfig config = with_first(1, [](SeatWriter& seat) { seat.set_open_files(1025); });
    config.roster.limits.open_files = 1024;
    Running group(config);
    QTRY_VERIFY(group.all_ready(1) && group.view().workers()[0].generation == 2);
    QVERIFY(group.last_text("open_files_limit").ends_with("is cycled: 1,025 open files, limit 1,024."));
}

void TestLiving::an_old_worker_is_replaced() {
    ArbiterConfig config = with_workers(1);
    config.roster.limits.age = 1s;
    Running group(config);
    QTRY_VERIFY_WITH_TIMEOUT(group.count("worker_exited") >= 2, 30'000);
    QVERIFY(group.last_text("age_limit").ends_with("s old, limit 1 s."));
}

void TestLiving::a_loop_that_is_late_again_and_again_is_replaced() {
    ArbiterConfig config = with_workers(1);
    config.roster.limits.lag = 20ms;
    config.roster.loops.spin = 0ms;
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() > 1) return live(seat, notify);
        signal(SIGTERM, [](int) { _exit(0); });
        seat.beat();
        seat.set_phase(telemetry::Phase::ready);
        notify();
        for (;;) {
            poll(nullptr, 0, 250);
            seat.beat();
        }
    };
    Running group(config);
    QTRY_VERIFY_WITH_TIMEOUT(group.count("lag_limit") >= 1, 30'000);
    QTRY_VERIFY(group.count("worker_exited") >= 1);
    const QString text = QString::fromStdString(group.last_text("lag_limit"));
    QVERIFY2(text.contains("more than 20 ms late 10 times within a minute"), qPrintable(text));
}

void TestLiving::limits_take_one_worker_at_a_time() {
    ArbiterConfig config = with_first(6, [](SeatWriter& seat) { answer(seat, 100); });
    config.roster.limits.requests = 50;
    Running group(config);
    QTRY_COMPARE(group.count("worker_exited"), 6);
    QTRY_VERIFY(group.all_ready(6));
    QCOMPARE(group.count("request_limit"), 6);
    QCOMPARE(most_starting_at_once(group, 6), 1);
}

void TestLiving::a_limit_that_successors_pass_at_once_is_enforced_ever_more_slowly() {
    ArbiterConfig config = with_workers(1);
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        seat.set_open_files(100);
        return live(seat, notify);
    };
    config.roster.limits.open_files = 10;
    config.roster.proven_after = 1h;
    Running group(config);
    QTRY_COMPARE_WITH_TIMEOUT(group.count("open_files_limit"), 3, 30'000);
    const QString text = QString::fromStdString(group.last_text("open_files_limit"));
    QVERIFY2(text.contains("3 times in a row") && text.contains("worker_open_files_limit may be too low"),
             qPrintable(text));
    const std::uint64_t generation = group.view().workers()[0].generation;
    QVERIFY2(generation <= 4, "the back-off holds nothing back");
}

void TestLiving::what_somebody_asks_for_goes_before_what_limits_want() {
    // Successors take their time, so that a queue forms.
    ArbiterConfig config = with_workers(5);
    CommandLine command_line;
    config.agent = command_line.agent();
    config.roster.limits.requests = 50;
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() > 5) poll(nullptr, 0, 300);
        if (seat.slot() < 4 && seat.generation() <= 5) answer(seat, 100);
        return live(seat, notify);
    };
    Running group(config);
    QTRY_COMPARE(group.count("request_limit"), 4);
    const auto asked = command_line.ask({.operation = Operation::cycle_worker, .slot = 4, .generation = 5});
    QCOMPARE(asked.outcome, Outcome::accepted);
    QTRY_VERIFY_WITH_TIMEOUT(group.count("worker_exited") == 5, 30'000);
    // The first was being replaced already; the one asked for came next, before the other three.
    std::uint64_t generation = 0;
    for (const wire::Worker& worker : group.view().workers())
        if (worker.slot == 4) generation = worker.generation;
    QVERIFY2(generation <= 8, qPrintable(QString::number(generation)));
}

void TestLiving::a_failing_successor_leaves_the_worker_that_serves_alone() {
    ArbiterConfig config = with_workers(2);
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        return seat.generation() > 2 ? EX_CONFIG : live(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(group.all_ready(2));
    group.send(SIGHUP);
    QTRY_VERIFY(group.view().group().degraded);
    QCOMPARE(group.count("group_degraded"), 1);
    const auto serving = group.workers(wire::WorkerState::ready);
    QCOMPARE(serving.size(), 2u);
    QCOMPARE(serving[0].generation, 1u);
    QCOMPARE(serving[1].generation, 2u);
    QCOMPARE(group.count("worker_draining"), 0);
}

void TestLiving::a_group_recovers_when_its_workers_live() {
    ArbiterConfig config = with_workers(2);
    config.roster.proven_after = 500ms;
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        return seat.slot() == 1 && seat.generation() < 6 ? EX_CONFIG : live(seat, notify);
    };
    Running group(config);
    QTRY_COMPARE(group.count("group_degraded"), 1);
    QTRY_VERIFY_WITH_TIMEOUT(group.count("group_recovered") == 1, 30'000);
    QVERIFY(!group.view().group().degraded);
    QVERIFY(group.all_ready(2));
    const QString waits = QString::fromStdString(group.last_text("worker_backs_off"));
    QVERIFY2(waits.contains("4 times in a row"), qPrintable(waits));
}

void TestLiving::ttin_and_ttou_scale_by_one_within_the_bounds() {
    ArbiterConfig config = with_workers(1);
    config.roster.max_workers = 2;
    Running group(config);
    QTRY_VERIFY(group.all_ready(1));
    group.send(SIGTTIN);
    QTRY_VERIFY(group.all_ready(2));
    group.send(SIGTTIN);
    QTRY_COMPARE(group.last_text("command_refused"), std::string("3 workers: give 1 to 2. (SIGTTIN)"));
    group.send(SIGTTOU);
    QTRY_VERIFY(group.all_ready(1));
    group.send(SIGTTOU);
    QTRY_COMPARE(group.last_text("command_refused"), std::string("0 workers: give 1 to 2. (SIGTTOU)"));
    QVERIFY(group.all_ready(1));
}

void TestLiving::usr1_reaches_all_workers_and_harms_none() {
    ArbiterConfig config = with_workers(3);
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        static SeatWriter* own = nullptr;
        own = &seat;
        // One of them does not care.
        if (seat.slot() > 0) signal(SIGUSR1, [](int) { own->count_request(); });
        return live(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(group.all_ready(3));
    group.send(SIGUSR1);
    QTRY_VERIFY(group.view().workers()[1].requests == 1 && group.view().workers()[2].requests == 1);
    QTRY_COMPARE(group.count("logs_reopened"), 1);
    QVERIFY(group.all_ready(3));
    QCOMPARE(group.view().workers()[0].generation, 1u);
}

QTEST_GUILESS_MAIN(TestLiving)
#include "test_living.moc"
