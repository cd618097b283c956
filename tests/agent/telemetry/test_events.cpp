// Events and actions as a reader of the segment finds them, whatever became of the process that wrote them.
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>
#include <csignal>
#include <set>
#include <stdexcept>
#include <thread>

#include "agent/telemetry/event_source.hpp"
#include "signalbox/events.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using telemetry::RawEvent;
using wire::EventKind;
using wire::Severity;

namespace {

/// A group of one worker, which is this process.
struct Fixture {
    explicit Fixture(TelemetryOptions options = {.group = "test"}) : telemetry(options) {
        tests::occupy(telemetry, 0, 1, static_cast<std::uint32_t>(::getpid()));
        telemetry.attach(0);
    }
    std::vector<RawEvent> events() const {
        std::vector<RawEvent> out;
        std::uint64_t next = 0;
        view.read_seat_events(0, next, out);
        return out;
    }
    std::vector<RawEvent> actions() const {
        std::vector<RawEvent> out;
        std::uint64_t next = 0;
        view.read_seat_actions(0, next, out);
        return out;
    }

    Telemetry telemetry;
    telemetry::SegmentView view{telemetry.segment().descriptor()};
    EventLog log{telemetry};
};

std::vector<wire::Field> fields(std::initializer_list<wire::Field> list) {
    return list;
}

/// By the action's name and outcome, what actions_total says; by name, how often action_duration_seconds counted.
struct ActionTotals {
    explicit ActionTotals(const telemetry::SegmentView& view) {
        telemetry::Collector collector(view);
        const wire::Tick tick = collector.collect();
        std::map<std::uint32_t, wire::Instrument> instruments;
        for (auto& instrument : collector.new_instruments())
            instruments[instrument.index] = instrument;
        for (const auto& series : tick.series)
            for (const auto& sample : series.samples)
                add(instruments.at(sample.instrument), sample);
    }
    void add(const wire::Instrument& instrument, const wire::Sample& sample) {
        const std::string& action = instrument.labels.at(0).second;
        names.insert(action);
        if (const auto* delta = std::get_if<wire::CounterDelta>(&sample.value))
            outcomes[{action, instrument.labels.at(1).second}] += delta->increase;
        else
            durations[action] += std::get<sketch::ExponentialHistogram>(sample.value).count();
    }
    std::uint64_t outcome(const std::string& action, const std::string& outcome) {
        return outcomes[{action, outcome}];
    }

    std::set<std::string> names;
    std::map<std::pair<std::string, std::string>, std::uint64_t> outcomes;
    std::map<std::string, std::uint64_t> durations;
};

}  // namespace

class TestEvents : public QObject {
    Q_OBJECT
private slots:
    void events_carry_level_text_and_fields();
    void debug_does_not_wash_away_errors();
    void a_scope_left_without_a_word_is_a_success();
    void a_failure_says_why_and_ends_at_once();
    void an_exception_through_the_scope_is_its_outcome();
    void a_caught_exception_is_told_with_its_text();
    void an_action_during_unwinding_may_succeed();
    void actions_nest();
    void every_outcome_is_counted_and_timed();
    void names_beyond_the_limit_share_other();
    void a_full_directory_does_not_disturb_the_caller();
    void names_that_are_no_label_are_counted_as_other();
    void eight_threads_lose_nothing_and_mix_nothing();
    void a_process_that_has_not_attached_writes_nothing();
    void a_killed_process_leaves_the_action_it_was_at();
};

void TestEvents::events_carry_level_text_and_fields() {
    Fixture f;
    const std::string path = "/etc/rules";
    f.log.info("config_loaded", "Read 12 rules.", {{"path", path}, {"rules", 12}});
    f.log.warning("slow", "");
    f.log.error("lost", "Gone.", {{"ratio", 0.5}, {"again", false}});
    const auto events = f.events();
    QCOMPARE(events.size(), 3u);
    QCOMPARE(events[0].name, std::string("config_loaded"));
    QCOMPARE(events[0].text, std::string("Read 12 rules."));
    QCOMPARE(events[0].severity, Severity::info);
    QCOMPARE(events[0].kind, EventKind::event);
    QCOMPARE(events[0].generation, 1u);
    QCOMPARE(events[0].pid, static_cast<std::uint32_t>(::getpid()));
    QVERIFY(events[0].fields == fields({{"path", path}, {"rules", std::int64_t{12}}}));
    QCOMPARE(events[1].severity, Severity::warning);
    QCOMPARE(events[2].severity, Severity::error);
    QVERIFY(events[2].fields == fields({{"ratio", 0.5}, {"again", false}}));
}

void TestEvents::debug_does_not_wash_away_errors() {
    Fixture f;
    f.log.error("lost", "Gone.");
    for (int i = 0; i < 5000; ++i) {
        f.log.debug("chatter", "");
        auto chatter = f.log.action("chat");
    }
    QCOMPARE(f.events().size(), 1u);
    QCOMPARE(f.actions().size(), std::size_t{telemetry::kActionRingRecords});
}

void TestEvents::a_scope_left_without_a_word_is_a_success() {
    Fixture f;
    {
        auto charge = f.log.action("charge", {{"customer", "c17"}, {"tries", 1}});
        charge.set("card", "visa");
        charge.set("tries", 2);
    }
    QVERIFY(f.events().empty());
    const auto actions = f.actions();
    QCOMPARE(actions.size(), 2u);
    QCOMPARE(actions[0].kind, EventKind::begin);
    QVERIFY(actions[0].fields == fields({{"customer", std::string("c17")}, {"tries", std::int64_t{1}}}));
    QCOMPARE(actions[1].kind, EventKind::success);
    QCOMPARE(actions[1].name, std::string("charge"));
    QCOMPARE(actions[1].action, actions[0].action);
    QVERIFY(actions[1].action != 0);
    QCOMPARE(actions[1].duration_ns, actions[1].monotonic_ns - actions[0].monotonic_ns);
    QVERIFY(actions[1].fields == fields({{"customer", std::string("c17")},
                                         {"card", std::string("visa")},
                                         {"tries", std::int64_t{2}}}));
}

void TestEvents::a_failure_says_why_and_ends_at_once() {
    Fixture f;
    {
        auto charge = f.log.action("charge");
        charge.failure("declined");
        charge.success();
        charge.exception("too late");
    }
    const auto events = f.events();
    QCOMPARE(events.size(), 1u);
    QCOMPARE(events[0].kind, EventKind::failure);
    QCOMPARE(events[0].severity, Severity::warning);
    QCOMPARE(events[0].text, std::string("declined"));
    QCOMPARE(events[0].action, f.actions().at(0).action);
    QCOMPARE(f.actions().size(), 1u);
}

void TestEvents::an_exception_through_the_scope_is_its_outcome() {
    Fixture f;
    try {
        auto charge = f.log.action("charge", {{"amount", 12.5}});
        throw std::runtime_error("no line to the bank");
    } catch (const std::runtime_error&) {
    }
    const auto events = f.events();
    QCOMPARE(events.size(), 1u);
    QCOMPARE(events[0].kind, EventKind::exception);
    QCOMPARE(events[0].severity, Severity::error);
    QVERIFY(events[0].fields == fields({{"amount", 12.5}}));
}

void TestEvents::a_caught_exception_is_told_with_its_text() {
    Fixture f;
    {
        auto charge = f.log.action("charge");
        try {
            throw std::runtime_error("no line to the bank");
        } catch (const std::exception& error) {
            charge.exception(error.what());
        }
    }
    QCOMPARE(f.events().at(0).kind, EventKind::exception);
    QCOMPARE(f.events().at(0).text, std::string("no line to the bank"));
}

void TestEvents::an_action_during_unwinding_may_succeed() {
    Fixture f;
    struct Cleanup {
        const EventLog& log;
        ~Cleanup() { auto roll_back = log.action("roll_back"); }
    };
    try {
        const Cleanup cleanup{f.log};
        throw std::runtime_error("");
    } catch (const std::runtime_error&) {
    }
    QVERIFY(f.events().empty());
    QCOMPARE(f.actions().back().kind, EventKind::success);
}

void TestEvents::actions_nest() {
    Fixture f;
    try {
        auto order = f.log.action("order");
        {
            auto charge = f.log.action("charge");
            auto receipt = f.log.action("receipt");
            charge.failure("declined");
        }
        throw std::runtime_error("");
    } catch (const std::runtime_error&) {
    }
    const auto actions = f.actions();
    const auto events = f.events();
    QCOMPARE(actions.size(), 4u);
    QCOMPARE(actions[3].name, std::string("receipt"));
    QCOMPARE(actions[3].kind, EventKind::success);
    QCOMPARE(actions[3].action, actions[2].action);
    QCOMPARE(events.size(), 2u);
    QCOMPARE(events[0].action, actions[1].action);
    QCOMPARE(events[1].name, std::string("order"));
    QCOMPARE(events[1].action, actions[0].action);
    QVERIFY(events[1].duration_ns >= events[0].duration_ns);
}

void TestEvents::every_outcome_is_counted_and_timed() {
    Fixture f;
    for (int i = 0; i < 6; ++i) {
        auto charge = f.log.action("charge");
        if (i % 2 == 0) charge.failure("declined");
        if (i == 5) charge.exception("no line to the bank");
    }
    { auto refund = f.log.action("refund"); }
    ActionTotals totals(f.view);
    QCOMPARE(totals.outcome("charge", "success"), 2u);
    QCOMPARE(totals.outcome("charge", "failure"), 3u);
    QCOMPARE(totals.outcome("charge", "exception"), 1u);
    QCOMPARE(totals.durations["charge"], 6u);
    QCOMPARE(totals.outcome("refund", "success"), 1u);
    QCOMPARE(totals.durations["refund"], 1u);
}

void TestEvents::names_beyond_the_limit_share_other() {
    Fixture f;
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 100; ++i)
            auto action = f.log.action("action_" + std::to_string(i));
    ActionTotals totals(f.view);
    QCOMPARE(totals.names.size(), telemetry::ActionTable::kNames + 1u);
    QCOMPARE(totals.durations["action_0"], 2u);
    QCOMPARE(totals.durations["action_63"], 2u);
    QCOMPARE(totals.outcome("other", "success"), 2u * 36u);
}

void TestEvents::a_full_directory_does_not_disturb_the_caller() {
    Fixture f({.group = "test", .instruments = 2, .distributions = 1});
    { auto first = f.log.action("first"); }
    { auto second = f.log.action("second", {{"a", 1}}); }
    QCOMPARE(f.actions().size(), 4u);
    QVERIFY(f.actions().at(3).fields == fields({{"a", std::int64_t{1}}}));
}

void TestEvents::names_that_are_no_label_are_counted_as_other() {
    Fixture f;
    { auto strange = f.log.action("two\nlines"); }
    { auto nameless = f.log.action(""); }
    { auto endless = f.log.action(std::string(500, 'x')); }
    ActionTotals totals(f.view);
    QCOMPARE(totals.outcome("other", "success"), 1u);
    QCOMPARE(totals.outcome("", "success"), 1u);
    QCOMPARE(totals.outcome(std::string(64, 'x'), "success"), 1u);
}

void TestEvents::eight_threads_lose_nothing_and_mix_nothing() {
    Fixture f;
    constexpr int kThreads = 8;
    constexpr int kEach = 60;  // × 2 records: the ring holds them all
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&f, t] {
            const std::string own(static_cast<std::size_t>(t) + 1, static_cast<char>('a' + t));
            for (int i = 0; i < kEach; ++i) {
                auto action = f.log.action(i % 2 == 0 ? own : "shared", {{"thread", t}, {"text", own}});
                action.set("turn", i);
            }
        });
    for (auto& thread : threads)
        thread.join();

    std::map<std::uint32_t, RawEvent> begun;
    int ended = 0;
    for (const RawEvent& record : f.actions()) {
        const auto thread = std::get<std::int64_t>(record.fields.at(0).value);
        const std::string own(static_cast<std::size_t>(thread) + 1, static_cast<char>('a' + thread));
        QVERIFY(record.name == own || record.name == "shared");
        QCOMPARE(std::get<std::string>(record.fields.at(1).value), own);
        if (record.kind == EventKind::begin) {
            QVERIFY2(begun.emplace(record.action, record).second, "two actions with the same id");
            continue;
        }
        ++ended;
        QCOMPARE(record.name, begun.at(record.action).name);
        QVERIFY(record.fields.at(0) == begun.at(record.action).fields.at(0));
    }
    QCOMPARE(ended, kThreads * kEach);
    ActionTotals totals(f.view);
    QCOMPARE(totals.outcome("shared", "success"), std::uint64_t{kThreads * kEach / 2});
    for (int t = 0; t < kThreads; ++t)
        QCOMPARE(totals.durations[std::string(static_cast<std::size_t>(t) + 1, static_cast<char>('a' + t))],
                 std::uint64_t{kEach / 2});
}

void TestEvents::a_process_that_has_not_attached_writes_nothing() {
    Fixture f;
    f.telemetry.detach();
    f.log.error("lost", "Gone.");
    { auto charge = f.log.action("charge"); }
    QVERIFY(f.events().empty());
    QVERIFY(f.actions().empty());
}

void TestEvents::a_killed_process_leaves_the_action_it_was_at() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    const EventLog log(telemetry);
    tests::occupy(telemetry, 0, 7);
    int told[2];
    QCOMPARE(::pipe(told), 0);
    const pid_t child = fork();
    if (child == 0) {
        telemetry.attach(0);
        { auto earlier = log.action("earlier"); }
        auto charge = log.action("charge", {{"customer", "c17"}, {"amount", 12.5}});
        [[maybe_unused]] const ssize_t written = ::write(told[1], "x", 1);
        for (;;)
            ::pause();
    }
    char byte = 0;
    QCOMPARE(::read(told[0], &byte, 1), 1);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(told[0]);
    ::close(told[1]);

    const telemetry::SegmentView view(telemetry.segment().descriptor());
    std::vector<RawEvent> records;
    std::uint64_t next = 0;
    view.read_seat_actions(0, next, records);
    next = 0;
    view.read_seat_events(0, next, records);
    std::map<std::uint32_t, RawEvent> under_way;
    for (const RawEvent& record : records)
        if (record.kind == EventKind::begin)
            under_way[record.action] = record;
        else
            under_way.erase(record.action);
    QCOMPARE(under_way.size(), 1u);
    const RawEvent& charge = under_way.begin()->second;
    QCOMPARE(charge.name, std::string("charge"));
    QCOMPARE(charge.pid, static_cast<std::uint32_t>(child));
    QCOMPARE(charge.generation, 7u);
    QVERIFY(charge.fields == fields({{"customer", std::string("c17")}, {"amount", 12.5}}));
}

QTEST_GUILESS_MAIN(TestEvents)
#include "test_events.moc"
