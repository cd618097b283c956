// A cycle can be taken back until the worker has ended.
#include <signal.h>

#include <QtTest>

#include "tests/agent/supervisor/running_arbiter.hpp"

using namespace signalbox;
using namespace signalbox::tests;
using telemetry::SeatWriter;

class TestKeeping : public QObject {
    Q_OBJECT
private slots:
    void a_worker_that_waits_for_its_turn_is_kept();
    void a_successor_that_still_starts_is_ended();
    void a_draining_worker_serves_again_and_its_successor_goes();
    void keeping_can_be_taken_back_as_well();
    void a_worker_that_ends_first_leaves_its_successor();
    void a_worker_that_never_answers_is_killed_at_its_deadline();
    void what_is_not_being_cycled_cannot_be_kept();
    void a_worker_beyond_a_limit_is_not_kept();
    void a_group_that_stops_meanwhile_stops();
};

namespace {

/// Drains until it is told to go on, for as long as the test wants: SIGUSR1 lets it finish.
int drain_patiently(SeatWriter& seat, const std::function<void()>& notify) {
    static std::atomic<bool> drain{false};
    static std::atomic<bool> finish{false};
    signal(SIGTERM, [](int) { drain = true; });
    signal(SIGUSR1, [](int) { finish = true; });
    seat.beat();
    seat.set_phase(telemetry::Phase::ready);
    notify();
    while (!finish) {
        seat.beat();
        poll(nullptr, 0, 5);
        if (!drain) continue;
        const std::uint32_t before = seat.resumptions();
        seat.set_phase(telemetry::Phase::draining);
        notify();
        while (!finish && seat.resumptions() == before) {
            seat.beat();
            poll(nullptr, 0, 5);
        }
        if (finish) break;
        drain = false;
        seat.set_phase(telemetry::Phase::ready);
        notify();
    }
    return 0;
}

ArbiterConfig patient(unsigned workers, CommandLine& command_line) {
    ArbiterConfig config = with_workers(workers);
    config.roster.drain_deadline = 60s;
    config.worker = drain_patiently;
    config.agent = command_line.agent();
    return config;
}

Command cycle(unsigned slot, std::uint64_t generation) {
    return {.operation = Operation::cycle_worker, .slot = slot, .generation = generation};
}
Command keep(unsigned slot, std::uint64_t generation) {
    return {.operation = Operation::keep_worker, .slot = slot, .generation = generation};
}

bool has(const Running& group, std::uint64_t generation, wire::WorkerState state) {
    for (const wire::Worker& worker : group.workers(state))
        if (worker.generation == generation) return true;
    return false;
}

void finish(const Running& group, std::uint64_t generation) {
    for (const wire::Worker& worker : group.view().workers())
        if (worker.generation == generation) kill(static_cast<pid_t>(worker.pid), SIGUSR1);
}

}  // namespace

void TestKeeping::a_worker_that_waits_for_its_turn_is_kept() {
    CommandLine command_line;
    ArbiterConfig config = patient(2, command_line);
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() == 3)
            for (;;)
                pause();  // slot 0's successor is never ready, so slot 1 waits
        return drain_patiently(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(group.all_ready(2));
    QCOMPARE(command_line.ask(cycle(0, 1)).outcome, Outcome::accepted);
    QTRY_COMPARE(group.view().workers().size(), 3u);
    QCOMPARE(command_line.ask(cycle(1, 2)).outcome, Outcome::accepted);
    QCOMPARE(command_line.ask(keep(1, 2)).outcome, Outcome::accepted);
    QCOMPARE(group.last_text("keep_requested").substr(0, 9), std::string("Worker 1:"));
    QCOMPARE(command_line.ask(keep(0, 1)).outcome, Outcome::accepted);
    QTRY_VERIFY(group.all_ready(2));
    QCOMPARE(group.count("worker_kept"), 2);
    QVERIFY(has(group, 1, wire::WorkerState::ready) && has(group, 2, wire::WorkerState::ready));
}

void TestKeeping::a_successor_that_still_starts_is_ended() {
    CommandLine command_line;
    ArbiterConfig config = patient(1, command_line);
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() == 2)
            for (;;)
                pause();
        return drain_patiently(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(group.all_ready(1));
    command_line.ask(cycle(0, 1));
    QTRY_VERIFY(has(group, 2, wire::WorkerState::starting));
    QCOMPARE(command_line.ask(keep(0, 1)).outcome, Outcome::accepted);
    QTRY_VERIFY(group.all_ready(1));
    QVERIFY(has(group, 1, wire::WorkerState::ready));
    QCOMPARE(group.count("worker_backs_off"), 0);
    // And it can be cycled again.
    QCOMPARE(command_line.ask(cycle(0, 1)).outcome, Outcome::accepted);
    QTRY_VERIFY(has(group, 3, wire::WorkerState::ready));
}

void TestKeeping::a_draining_worker_serves_again_and_its_successor_goes() {
    CommandLine command_line;
    Running group(patient(1, command_line));
    QTRY_VERIFY(group.all_ready(1));
    command_line.ask(cycle(0, 1));
    QTRY_VERIFY(has(group, 1, wire::WorkerState::draining) && has(group, 2, wire::WorkerState::ready));
    const Answer answer = command_line.ask(keep(0, 1));
    QCOMPARE(answer.outcome, Outcome::accepted);
    QVERIFY(std::string(answer.text).starts_with("Worker 0: generation 1 (pid "));
    QTRY_VERIFY(has(group, 1, wire::WorkerState::ready) && has(group, 2, wire::WorkerState::draining));
    finish(group, 2);
    QTRY_VERIFY(group.all_ready(1));
    QCOMPARE(group.count("worker_kept"), 1);
    QCOMPARE(group.count("worker_exited"), 1);
    QVERIFY(group.last_text("worker_kept").ends_with("goes on serving: asked for by the test."));
}

void TestKeeping::keeping_can_be_taken_back_as_well() {
    CommandLine command_line;
    Running group(patient(1, command_line));
    QTRY_VERIFY(group.all_ready(1));
    command_line.ask(cycle(0, 1));
    QTRY_VERIFY(has(group, 1, wire::WorkerState::draining));
    for (int round = 0; round < 5; ++round) {
        QTRY_VERIFY(has(group, 1, wire::WorkerState::draining) && has(group, 2, wire::WorkerState::ready));
        QTRY_VERIFY(command_line.ask(keep(0, 1)).outcome == Outcome::accepted ||
                    has(group, 1, wire::WorkerState::ready));
        QTRY_VERIFY(has(group, 2, wire::WorkerState::draining) && has(group, 1, wire::WorkerState::ready));
        QTRY_VERIFY(command_line.ask(keep(0, 2)).outcome == Outcome::accepted ||
                    has(group, 2, wire::WorkerState::ready));
    }
    QTRY_VERIFY(has(group, 1, wire::WorkerState::draining) && has(group, 2, wire::WorkerState::ready));
    finish(group, 1);
    QTRY_VERIFY(group.all_ready(1));
    QVERIFY(has(group, 2, wire::WorkerState::ready));
}

void TestKeeping::a_worker_that_ends_first_leaves_its_successor() {
    CommandLine command_line;
    ArbiterConfig config = patient(1, command_line);
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() > 1) return drain_patiently(seat, notify);
        // Finishes without looking whether it should go on.
        static std::atomic<bool> go{false};
        signal(SIGUSR1, [](int) { go = true; });
        signal(SIGTERM, [](int) {});
        seat.set_phase(telemetry::Phase::ready);
        notify();
        pause();
        seat.set_phase(telemetry::Phase::draining);
        while (!go)
            poll(nullptr, 0, 5);
        return 0;
    };
    Running group(config);
    QTRY_VERIFY(!group.workers(wire::WorkerState::starting).empty() || !group.view().workers().empty());
    QTRY_COMPARE(group.count("worker_ready"), 1);
    command_line.ask(cycle(0, 1));
    QTRY_VERIFY(has(group, 2, wire::WorkerState::ready) && group.count("worker_draining") == 1);
    QCOMPARE(command_line.ask(keep(0, 1)).outcome, Outcome::accepted);
    QCOMPARE(command_line.ask(keep(0, 1)).outcome, Outcome::refused);  // already
    finish(group, 1);
    QTRY_VERIFY(group.all_ready(1));
    QVERIFY(has(group, 2, wire::WorkerState::ready));
    const QString ended = QString::fromStdString(group.last_text("worker_exited"));
    QVERIFY2(ended.contains("finished before it could be kept"), qPrintable(ended));
    QCOMPARE(command_line.ask(keep(0, 1)).outcome, Outcome::stale);
}

void TestKeeping::a_worker_that_never_answers_is_killed_at_its_deadline() {
    CommandLine command_line;
    ArbiterConfig config = patient(1, command_line);
    config.roster.drain_deadline = 100ms;
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() > 1) return drain_patiently(seat, notify);
        static std::atomic<bool> drain{false};
        signal(SIGTERM, [](int) { drain = true; });
        seat.set_phase(telemetry::Phase::ready);
        notify();
        while (!drain)
            poll(nullptr, 0, 5);
        seat.set_phase(telemetry::Phase::draining);
        for (;;)
            pause();
        return 0;
    };
    Running group(config);
    QTRY_COMPARE(group.count("worker_ready"), 1);
    command_line.ask(cycle(0, 1));
    QTRY_VERIFY(has(group, 2, wire::WorkerState::ready) && group.count("worker_draining") == 1);
    QCOMPARE(command_line.ask(keep(0, 1)).outcome, Outcome::accepted);
    QTRY_COMPARE(group.count("worker_killed"), 1);
    QTRY_VERIFY(group.all_ready(1));
    QVERIFY(has(group, 2, wire::WorkerState::ready));
}

void TestKeeping::what_is_not_being_cycled_cannot_be_kept() {
    CommandLine command_line;
    Running group(patient(2, command_line));
    QTRY_VERIFY(group.all_ready(2));
    const auto refusal = [&](const Command& command) {
        const Answer answer = command_line.ask(command);
        return answer.outcome == Outcome::accepted ? std::string("accepted") : std::string(answer.text);
    };
    QCOMPARE(refusal(keep(0, 1)),
             std::string("Generation 1 of worker 0 is not being cycled: there is nothing to take back."));
    QCOMPARE(refusal(keep(0, 77)), std::string("Generation 77 of worker 0 has ended."));
    QCOMPARE(refusal(keep(4'000'000'000, 1)), std::string("There is no worker 4000000000."));
    command_line.ask({.operation = Operation::scale, .workers = 1});
    QTRY_VERIFY(has(group, 2, wire::WorkerState::draining));
    QCOMPARE(refusal(keep(1, 2)), std::string("Worker 1 ends because there are 1 now: scale to 2 instead."));
    QCOMPARE(group.count("worker_kept"), 0);
    finish(group, 2);
}

void TestKeeping::a_worker_beyond_a_limit_is_not_kept() {
    CommandLine command_line;
    ArbiterConfig config = patient(1, command_line);
    config.roster.limits.requests = 10;
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        for (int i = 0; i < 20 && seat.generation() == 1; ++i)
            seat.count_request();
        return drain_patiently(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(has(group, 1, wire::WorkerState::draining));
    const Answer answer = command_line.ask(keep(0, 1));
    QCOMPARE(answer.outcome, Outcome::refused);
    const QString text = answer.text;
    QVERIFY2(text.startsWith("Worker 0 would be cycled again: 20 requests, limit 1") &&
                 text.endsWith("Raise worker_request_limit first."),
             answer.text);
    finish(group, 1);
}

void TestKeeping::a_group_that_stops_meanwhile_stops() {
    CommandLine command_line;
    ArbiterConfig config = patient(1, command_line);
    config.roster.drain_deadline = 500ms;
    Running group(config);
    QTRY_VERIFY(group.all_ready(1));
    command_line.ask(cycle(0, 1));
    QTRY_VERIFY(has(group, 1, wire::WorkerState::draining));
    command_line.ask(keep(0, 1));
    group.send(SIGTERM);
    QTRY_VERIFY_WITH_TIMEOUT(group.has_ended(), 30'000);
    QCOMPARE(group.wait(), 0);
}

QTEST_GUILESS_MAIN(TestKeeping)
#include "test_keeping.moc"
