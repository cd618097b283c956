// Event loops that do not turn: reported with where they are, replaced if they never do again.
#include <signal.h>

#include <QtTest>

#include "agent/telemetry/stack_reporter.hpp"
#include "tests/agent/supervisor/running_arbiter.hpp"

using namespace signalbox;
using namespace signalbox::tests;
using telemetry::SeatWriter;

class TestLoops : public QObject {
    Q_OBJECT
private slots:
    void a_long_spin_is_reported_with_its_stack();
    void a_blocked_loop_is_reported_as_well();
    void a_stopped_worker_is_said_to_be_stopped();
    void at_most_five_are_reported_a_minute();
    void nothing_is_reported_when_the_threshold_is_zero();
    void a_wedged_worker_is_replaced_and_leaves_its_stack();
    void a_stopped_worker_is_replaced_and_leaves_its_stack();
    void a_loop_that_turns_again_is_drained_not_killed();
    void an_arbiter_that_was_away_blames_nobody();
};

namespace {

std::atomic<bool> spin_on{true};

/// Easily found in a stack.
__attribute__((noinline)) void spin_for_ever() {
    while (spin_on)
        asm volatile("" ::: "memory");
}

/// The first worker does `mischief` instead of beating; its successors live.
ArbiterConfig with_mischief(unsigned workers, const std::function<void(SeatWriter&)>& mischief) {
    ArbiterConfig config = with_workers(workers);
    config.roster.loops.wedge = 0ms;
    config.worker = [mischief](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() > 1) return live(seat, notify);
        ::signal(SIGTERM, [](int) { spin_on = false; });
        seat.beat();
        seat.set_phase(telemetry::Phase::ready);
        notify();
        mischief(seat);
        return 0;
    };
    return config;
}

QString text_of(const Running& group, const char* event) {
    return QString::fromStdString(group.last_text(event));
}

/// The program's own code is in the stack.
bool names_the_program(const QString& text) {
    return text.contains("test_supervisor_loops+0x");
}

}  // namespace

void TestLoops::a_long_spin_is_reported_with_its_stack() {
    Running group(with_mischief(1, [](SeatWriter& seat) {
        const auto activity = seat.activity("POST /dig\x1b[31m");
        spin_for_ever();
    }));
    QTRY_COMPARE(group.count("long_spin"), 1);
    const QString text = text_of(group, "long_spin");
    QVERIFY2(text.contains("generation 1) had not turned its event loop for "), qPrintable(text));
    QVERIFY2(text.contains("ms, at 'POST /dig?[31m': test_supervisor_loops+0x"), qPrintable(text));
    QVERIFY2(text.count(" < ") >= 3, qPrintable(text));
    QVERIFY(!group.has_ended());
}

void TestLoops::a_blocked_loop_is_reported_as_well() {
    Running group(with_mischief(1, [](SeatWriter&) {
        while (spin_on)
            poll(nullptr, 0, 1000);
    }));
    QTRY_COMPARE(group.count("long_spin"), 1);
    QVERIFY2(
        names_the_program(text_of(group, "long_spin")) && text_of(group, "long_spin").contains("libc.so.6"),
        qPrintable(text_of(group, "long_spin")));
}

void TestLoops::a_stopped_worker_is_said_to_be_stopped() {
    Running group(with_mischief(1, [](SeatWriter&) { raise(SIGSTOP); }));
    QTRY_COMPARE(group.count("long_spin"), 1);
    QVERIFY2(text_of(group, "long_spin")
                 .endsWith("it does not answer, it is stopped (SIGSTOP or the like; SIGCONT goes on)"),
             qPrintable(text_of(group, "long_spin")));
}

void TestLoops::at_most_five_are_reported_a_minute() {
    ArbiterConfig config = with_mischief(1, [](SeatWriter& seat) {
        for (int spin = 0; spin < 8 && spin_on; ++spin) {
            poll(nullptr, 0, 400);
            seat.beat();
            seat.count_request();
        }
        while (spin_on) {
            seat.beat();
            poll(nullptr, 0, 5);
        }
    });
    config.roster.loops.spin = 50ms;
    Running group(config);
    QTRY_VERIFY_WITH_TIMEOUT(!group.view().workers().empty() && group.view().workers()[0].requests == 8,
                             30'000);
    QTRY_COMPARE(group.count("long_spin"), 5);
    QVERIFY(group.all_ready(1));
}

void TestLoops::nothing_is_reported_when_the_threshold_is_zero() {
    ArbiterConfig config = with_mischief(1, [](SeatWriter&) { spin_for_ever(); });
    config.roster.loops.spin = 0ms;
    Running group(config);
    QTRY_COMPARE(group.count("worker_stalled"), 1);
    QCOMPARE(group.count("long_spin"), 0);
    QCOMPARE(group.count("worker_wedged"), 0);
}

void TestLoops::a_wedged_worker_is_replaced_and_leaves_its_stack() {
    ArbiterConfig config = with_mischief(2, [](SeatWriter& seat) {
        const auto activity = seat.activity("dig");
        for (;;)
            spin_for_ever();
    });
    config.roster.loops.wedge = 700ms;
    Running group(config);
    QTRY_VERIFY(group.all_ready(2) && group.view().workers()[0].generation > 2);
    QCOMPARE(group.count("worker_wedged"), 1);
    QVERIFY2(text_of(group, "worker_wedged")
                 .contains(", at 'dig', it is running; limit 700 ms (wedge_timeout). It is replaced."),
             qPrintable(text_of(group, "worker_wedged")));
    // Its successor was ready before it went.
    const auto events = group.events();
    const auto place = [&](const char* name) { return std::find(events.rbegin(), events.rend(), name); };
    QVERIFY(place("worker_aborted") < place("worker_ready"));
    QTRY_COMPARE(group.view().crashes().size(), 1u);
    const telemetry::CrashInfo crash = group.view().crashes()[0];
    QCOMPARE(crash.signal, SIGABRT);
    QCOMPARE(crash.activity, std::string("dig"));
    QVERIFY(crash.frames.size() > 3);
    QCOMPARE(group.count("worker_backs_off"), 0);
}

void TestLoops::a_stopped_worker_is_replaced_and_leaves_its_stack() {
    ArbiterConfig config = with_mischief(1, [](SeatWriter&) { raise(SIGSTOP); });
    config.roster.loops.wedge = 500ms;
    Running group(config);
    QTRY_VERIFY_WITH_TIMEOUT(group.all_ready(1) && group.view().workers()[0].generation == 2, 20'000);
    QCOMPARE(group.count("worker_wedged"), 1);
    QTRY_COMPARE(group.view().crashes().size(), 1u);
    QCOMPARE(group.view().crashes()[0].signal, SIGABRT);
    QCOMPARE(group.count("worker_killed"), 0);
}

void TestLoops::a_loop_that_turns_again_is_drained_not_killed() {
    ArbiterConfig config = with_workers(1);
    config.roster.loops.wedge = 500ms;
    config.roster.loops.spin = 0ms;  // the question would interrupt poll()
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() == 2) poll(nullptr, 0, 1500);  // ready only when the first one turns again
        if (seat.generation() > 1) return live(seat, notify);
        seat.beat();
        seat.set_phase(telemetry::Phase::ready);
        notify();
        poll(nullptr, 0, 1000);
        return live(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(group.all_ready(1) && group.view().workers()[0].generation == 2);
    QCOMPARE(group.count("worker_wedged"), 1);
    QTRY_COMPARE(group.count("worker_exited"), 1);
    QCOMPARE(group.count("worker_aborted"), 0);
    QCOMPARE(group.count("worker_draining"), 1);
    QVERIFY(text_of(group, "worker_draining").endsWith("its event loop was wedged."));
}

void TestLoops::an_arbiter_that_was_away_blames_nobody() {
    ArbiterConfig config = with_workers(2);
    config.roster.loops.wedge = 1200ms;
    Running group(config);
    QTRY_VERIFY(group.all_ready(2));
    const auto workers = group.view().workers();
    // The whole group is stopped, as by a suspended virtual machine.
    group.send(SIGSTOP);
    for (const auto& worker : workers)
        kill(static_cast<pid_t>(worker.pid), SIGSTOP);
    QTRY_VERIFY(group.view().workers()[0].heartbeat_age > 2s && group.view().workers()[1].heartbeat_age > 2s);
    // The arbiter comes back first.
    group.send(SIGCONT);
    for (const auto& worker : workers)
        kill(static_cast<pid_t>(worker.pid), SIGCONT);
    QTRY_VERIFY(group.view().workers()[0].heartbeat_age < 100ms &&
                group.view().workers()[1].heartbeat_age < 100ms);
    group.send(SIGTTIN);  // … and has had a look
    QTRY_VERIFY(group.all_ready(3));
    QCOMPARE(group.count("worker_wedged"), 0);
    QVERIFY(group.view().workers()[0].generation == 1);
}

QTEST_GUILESS_MAIN(TestLoops)
#include "test_loops.moc"
