// The arbiter keeps its processes: real forks, workers that do nothing but live, and a test that plays the
// agent.
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <QtTest>
#include <memory>

#include "agent/telemetry/settings.hpp"
#include "tests/agent/supervisor/running_arbiter.hpp"

using namespace signalbox;
using namespace signalbox::supervisor;
using namespace std::chrono_literals;
using namespace signalbox::tests;
using telemetry::Phase;
using telemetry::SeatWriter;

namespace {

/// Sockets, pipes and the like that this process has; the segment and the arbiter's wake-up are meant to be
/// inherited.
unsigned open_descriptors_of_the_arbiter() {
    unsigned count = 0;
    for (int descriptor = 3; descriptor < 256; ++descriptor) {
        std::array<char, 128> target{};
        const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
        if (readlink(link.c_str(), target.data(), target.size() - 1) <= 0) continue;
        const std::string name = target.data();
        if (name.starts_with("socket:") || name.starts_with("pipe:") || name == "anon_inode:[signalfd]")
            ++count;
    }
    return count;
}

}  // namespace

class TestArbiter : public QObject {
    Q_OBJECT
private slots:
    void workers_become_ready_and_term_ends_all();
    void a_killed_worker_is_replaced_with_a_new_generation();
    void a_crashed_worker_leaves_its_stack_with_the_group();
    void hup_replaces_all_workers_one_after_another();
    void a_successor_is_ready_before_its_predecessor_drains();
    void a_worker_that_does_not_drain_is_killed();
    void a_worker_that_is_never_ready_is_killed_and_replaced();
    void failing_starts_back_off_and_degrade_the_group();
    void memory_above_the_limit_cycles_the_worker();
    void the_agent_is_replaced_at_once();
    void commands_cycle_and_scale();
    void a_tunable_is_set_and_the_event_says_by_whom();
    void scaling_is_shown_as_the_setting_it_is();
    void stale_and_senseless_commands_are_refused();
    void garbage_from_the_agent_is_survived();
    void workers_end_when_the_arbiter_is_killed();
    void children_inherit_no_descriptors_beyond_the_intended();
};

void TestArbiter::workers_become_ready_and_term_ends_all() {
    Running group(with_workers(3));
    QTRY_VERIFY(group.all_ready(3));
    QCOMPARE(group.view().group().target_workers, 3u);
    group.send(SIGTERM);
    QTRY_VERIFY(group.has_ended());
    QCOMPARE(group.wait(), 0);
    QVERIFY(group.view().workers().empty());
    QCOMPARE(group.count("worker_exited"), 3);
    QCOMPARE(group.count("group_stopped"), 1);
}

void TestArbiter::a_killed_worker_is_replaced_with_a_new_generation() {
    Running group(with_workers(2));
    QTRY_VERIFY(group.all_ready(2));
    const wire::Worker victim = group.view().workers()[1];
    kill(static_cast<pid_t>(victim.pid), SIGKILL);
    QTRY_VERIFY(group.all_ready(2) && group.view().workers()[1].pid != victim.pid);
    QCOMPARE(group.view().workers()[1].slot, victim.slot);
    QVERIFY(group.view().workers()[1].generation > victim.generation);
    QCOMPARE(group.count("worker_died"), 1);
    QCOMPARE(group.count("worker_backs_off"), 0);
}

void TestArbiter::a_crashed_worker_leaves_its_stack_with_the_group() {
    Running group(with_workers(2));
    QTRY_VERIFY(group.all_ready(2));
    const wire::Worker victim = group.view().workers()[1];
    kill(static_cast<pid_t>(victim.pid), SIGBUS);
    QTRY_VERIFY(group.all_ready(2) && group.view().workers()[1].pid != victim.pid);
    QCOMPARE(group.count("worker_died"), 1);
    QCOMPARE(group.count("worker_crashed"), 1);
    const auto crashes = group.view().crashes();
    QCOMPARE(crashes.size(), 1u);
    QCOMPARE(crashes[0].signal, SIGBUS);
    QCOMPARE(crashes[0].slot, victim.slot);
    QCOMPARE(crashes[0].generation, victim.generation);
    QVERIFY(crashes[0].frames.size() > 1);
}

void TestArbiter::hup_replaces_all_workers_one_after_another() {
    Running group(with_workers(3));
    QTRY_VERIFY(group.all_ready(3));
    group.send(SIGHUP);
    QTRY_COMPARE(group.count("worker_exited"), 3);
    QTRY_VERIFY(group.all_ready(3));
    for (const wire::Worker& worker : group.view().workers())
        QVERIFY(worker.generation > 3);
    // One at a time: between two starts the earlier successor became ready.
    const auto events = group.events();
    int starting = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (events[i] == "cycle_requested") starting = 0;
        if (events[i] == "worker_starting") ++starting;
        if (events[i] == "worker_ready") --starting;
        if (std::find(events.begin(), events.begin() + static_cast<long>(i), "cycle_requested") !=
            events.begin() + static_cast<long>(i))
            QVERIFY(starting <= 1);
    }
}

void TestArbiter::a_successor_is_ready_before_its_predecessor_drains() {
    CommandLine command_line;
    ArbiterConfig config = with_workers(1);
    config.agent = command_line.agent();
    Running group(config);
    QTRY_VERIFY(group.all_ready(1));
    const auto answer = command_line.ask({.operation = Operation::cycle_worker, .slot = 0, .generation = 1});
    QCOMPARE(answer.outcome, Outcome::accepted);
    QTRY_COMPARE(group.count("worker_exited"), 1);
    const auto events = group.events();
    const auto find = [&](const char* name, int nth) {
        auto found = events.begin();
        for (; found != events.end(); ++found)
            if (*found == name && nth-- == 0) break;
        return found - events.begin();
    };
    QVERIFY(find("worker_starting", 1) < find("worker_ready", 1));
    QVERIFY(find("worker_ready", 1) < find("worker_draining", 0));
    QVERIFY(find("worker_draining", 0) < find("worker_exited", 0));
}

void TestArbiter::a_worker_that_does_not_drain_is_killed() {
    ArbiterConfig config = with_workers(1);
    config.roster.drain_deadline = 50ms;
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        ::signal(SIGTERM, SIG_IGN);
        seat.beat();
        seat.set_phase(Phase::ready);
        notify();
        for (;;)
            pause();
        return 0;
    };
    Running group(config);
    QTRY_VERIFY(!group.workers(wire::WorkerState::ready).empty());
    group.send(SIGTERM);
    QTRY_VERIFY_WITH_TIMEOUT(group.has_ended(), 10'000);
    QCOMPARE(group.count("worker_killed"), 1);
}

void TestArbiter::a_worker_that_is_never_ready_is_killed_and_replaced() {
    ArbiterConfig config = with_workers(1);
    config.roster.start_deadline = 100ms;
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() > 1) return live(seat, notify);
        for (;;)
            pause();
        return 0;
    };
    Running group(config);
    QTRY_VERIFY(group.all_ready(1) && group.view().workers()[0].generation == 2);
    QCOMPARE(group.count("worker_killed"), 1);
}

void TestArbiter::failing_starts_back_off_and_degrade_the_group() {
    ArbiterConfig config = with_workers(2);
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        return seat.slot() == 1 && seat.generation() < 9 ? EX_CONFIG : live(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(group.view().group().degraded);
    QVERIFY(group.count("worker_backs_off") >= 3);
    QCOMPARE(group.workers(wire::WorkerState::ready).size(), 1u);  // the good one stays
    QVERIFY(!group.has_ended());
}

void TestArbiter::memory_above_the_limit_cycles_the_worker() {
    ArbiterConfig config = with_workers(1);
    config.roster.limits.memory = 64_MiB;
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        if (seat.generation() == 1) {
            auto* leak = new std::vector<char>(100 << 20, 'x');
            [[maybe_unused]] auto* volatile keep = leak;
        }
        return live(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(group.count("memory_limit") == 1);
    QTRY_VERIFY(group.all_ready(1) && group.view().workers()[0].generation == 2);
    QCOMPARE(group.count("worker_exited"), 1);
}

void TestArbiter::the_agent_is_replaced_at_once() {
    CommandLine command_line;
    ArbiterConfig config = with_workers(1);
    config.agent = command_line.agent();
    Running group(config);
    QTRY_VERIFY(group.all_ready(1) && group.view().group().agent_pid != 0);
    const std::uint32_t first = group.view().group().agent_pid;
    kill(static_cast<pid_t>(first), SIGKILL);
    QTRY_VERIFY(group.view().group().agent_pid != first && group.view().group().agent_pid != 0);
    QCOMPARE(group.count("agent_died"), 1);
    QCOMPARE(command_line.ask({.operation = Operation::scale, .workers = 2}).outcome, Outcome::accepted);
    QCOMPARE(group.view().workers()[0].generation, 1u);  // the worker did not notice
}

void TestArbiter::commands_cycle_and_scale() {
    CommandLine command_line;
    ArbiterConfig config = with_workers(2);
    config.agent = command_line.agent();
    Running group(config);
    QTRY_VERIFY(group.all_ready(2));
    const Answer grown = command_line.ask({.operation = Operation::scale, .workers = 5});
    QCOMPARE(grown.from_workers, 2u);
    QCOMPARE(grown.to_workers, 5u);
    QTRY_VERIFY(group.all_ready(5));
    command_line.ask({.operation = Operation::scale, .workers = 1});
    QTRY_VERIFY(group.all_ready(1));
    QCOMPARE(group.view().workers()[0].generation, 1u);
    QCOMPARE(command_line.ask({.operation = Operation::cycle_group}).outcome, Outcome::accepted);
    QTRY_VERIFY(group.all_ready(1) && group.view().workers()[0].generation > 5);
}

void TestArbiter::a_tunable_is_set_and_the_event_says_by_whom() {
    CommandLine command_line;
    ArbiterConfig config = with_workers(1);
    config.agent = command_line.agent();
    Running group(config, [](Context context, ArbiterConfig&) {
        context.setting("listen", "here", "code");
        Tunable<std::chrono::milliseconds>(context, "slow", 250ms, {.min = 1ms, .max = 60s});
    });
    QTRY_VERIFY(group.all_ready(1));
    Command command{.operation = Operation::set,
                    .setting = 1,
                    .setting_type = detail::SettingType::duration,
                    .role = Role::operator_,
                    .value = 1'500'000'000};
    QCOMPARE(command_line.ask(command).outcome, Outcome::accepted);
    const telemetry::Setting slow = group.view().settings().at(1);
    QCOMPARE(slow.value->text, std::string("1.5s"));
    QCOMPARE(slow.value->origin, std::string("operator the test"));
    QCOMPARE(group.last_text("setting_changed"),
             std::string("slow: 250ms before, 1.5s now, set by operator the test."));

    // The agent has looked already; the arbiter does not rely on it.
    const auto refusal = [&](auto change) {
        Command bad = command;
        change(bad);
        const Answer answer = command_line.ask(bad);
        return answer.outcome == Outcome::refused ? std::string(answer.text) : std::string("accepted");
    };
    QCOMPARE(refusal([](Command& c) { c.value = 300'000'000'000; }),
             std::string("slow: '5min' is above its maximum of 60s"));
    QCOMPARE(refusal([](Command& c) { c.setting_type = detail::SettingType::bytes; }),
             std::string("slow is of type duration, not bytes"));
    QCOMPARE(refusal([](Command& c) { c.setting = 0; }),
             std::string("listen cannot be changed while the group runs"));
    for (const std::uint32_t nonsense : {2u, 511u, 512u, UINT32_MAX})
        QVERIFY(refusal([&](Command& c) { c.setting = nonsense; }).starts_with("there is no setting"));
    QCOMPARE(group.count("setting_changed"), 1);
    QCOMPARE(group.view().settings().at(1).value->version, 1u);
}

void TestArbiter::scaling_is_shown_as_the_setting_it_is() {
    CommandLine command_line;
    ArbiterConfig config = with_workers(1);
    config.agent = command_line.agent();
    Running group(config,
                  [](Context context, ArbiterConfig&) { context.setting("workers", "1", "default"); });
    QTRY_VERIFY(group.all_ready(1));
    command_line.ask({.operation = Operation::scale, .workers = 2, .role = Role::operator_});
    QCOMPARE(group.view().settings().at(0).value->text, std::string("2"));
    QCOMPARE(group.view().settings().at(0).value->origin, std::string("operator the test"));
}

void TestArbiter::stale_and_senseless_commands_are_refused() {
    CommandLine command_line;
    ArbiterConfig config = with_workers(1);
    config.agent = command_line.agent();
    Running group(config);
    QTRY_VERIFY(group.all_ready(1));
    const auto outcome = [&](Command command) { return command_line.ask(command).outcome; };
    QCOMPARE(outcome({.operation = Operation::cycle_worker, .slot = 0, .generation = 77}), Outcome::stale);
    QCOMPARE(outcome({.operation = Operation::cycle_worker, .slot = 7, .generation = 1}), Outcome::stale);
    QCOMPARE(outcome({.operation = Operation::cycle_worker, .slot = 4'000'000'000, .generation = 1}),
             Outcome::refused);
    QCOMPARE(outcome({.operation = Operation::scale, .workers = 0}), Outcome::refused);
    QCOMPARE(outcome({.operation = Operation::scale, .workers = 9}), Outcome::refused);
    QCOMPARE(outcome({.operation = static_cast<Operation>(1234)}), Outcome::refused);
    QVERIFY(group.all_ready(1));
    QCOMPARE(group.view().workers()[0].generation, 1u);
}

void TestArbiter::garbage_from_the_agent_is_survived() {
    CommandLine command_line;
    ArbiterConfig config = with_workers(1);
    config.agent = command_line.agent();
    Running group(config);
    QTRY_VERIFY(group.all_ready(1));
    const std::string garbage(200, '\xff');
    for (const std::size_t size : {1u, 7u, 199u})
        ::send(command_line.ends[0], garbage.data(), size, 0);
    QTRY_COMPARE(group.count("bad_command"), 3);
    QCOMPARE(command_line.ask({.operation = Operation::scale, .workers = 2}).outcome, Outcome::accepted);
}

void TestArbiter::workers_end_when_the_arbiter_is_killed() {
    Running group(with_workers(2));
    QTRY_VERIFY(group.all_ready(2));
    const auto workers = group.view().workers();
    group.send(SIGKILL);
    group.wait();
    for (const wire::Worker& worker : workers)
        QTRY_VERIFY(kill(static_cast<pid_t>(worker.pid), 0) != 0);
}

void TestArbiter::children_inherit_no_descriptors_beyond_the_intended() {
    CommandLine command_line;
    int only_for_the_agent[2];
    QVERIFY(pipe(only_for_the_agent) == 0);
    ArbiterConfig config = with_workers(1);
    config.agent = command_line.agent();
    config.close_in_workers = {only_for_the_agent[0], only_for_the_agent[1], command_line.ends[0],
                               command_line.ends[1]};
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        seat.set_connections(open_descriptors_of_the_arbiter());
        return live(seat, notify);
    };
    const unsigned intended =
        open_descriptors_of_the_arbiter() - 4;  // what the test program has, without the four above
    Running group(config);
    QTRY_VERIFY(group.all_ready(1));
    QCOMPARE(group.view().workers()[0].connections, intended);
    close(only_for_the_agent[0]);
    close(only_for_the_agent[1]);
}

QTEST_GUILESS_MAIN(TestArbiter)
#include "test_arbiter.moc"
