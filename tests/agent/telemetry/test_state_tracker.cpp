// A tracker's instruments tell what its transitors did, from any thread, and nothing of one that is gone.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>
#include <barrier>
#include <deque>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

#include "agent/telemetry/retire.hpp"
#include "signalbox/state_tracker.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

class TestStateTracker : public QObject {
    Q_OBJECT
private slots:
    void counts_follow_the_transitors();
    void stays_take_as_long_as_they_did();
    void transitions_are_counted_by_where_they_come_from_and_lead_to();
    void intervals_are_between_transitions_of_a_kind();
    void a_scope_that_an_exception_ends_leaves();
    void a_transitor_moves_with_its_value();
    void states_are_numbers_or_enumerators();
    void copies_are_one_tracker_and_so_is_another_of_the_same_name();
    void eight_threads_lose_nothing();
    void transitors_travel_between_threads();
    void a_process_takes_the_count_of_its_states_along();
    void what_was_entered_before_attaching_counts_from_its_first_move();
    void transitions_without_room_are_dropped_and_counted();
    void a_transition_without_room_for_its_interval_is_still_counted();
    void a_state_that_there_is_not_ends_a_process_with_assertions();
    void bad_states_are_refused_by_name_data();
    void bad_states_are_refused_by_name();
};

namespace {

enum class Client { handshaking, idle, busy, closing };
const std::vector<std::string> kStates{"handshaking", "idle", "busy", "closing"};

struct Fixture {
    explicit Fixture(unsigned instruments = 256, unsigned distributions = 128)
        : telemetry({.group = "test",
                     .max_workers = 2,
                     .instruments = instruments,
                     .distributions = distributions}) {
        tests::occupy(telemetry, 0, 1);
        telemetry.attach(0);
    }
    StateTracker clients() { return {telemetry, "client", "Clients", kStates}; }

    double count(const std::string& state) {
        return totals.gauge("client_state_count{state=\"" + state + "\"}");
    }
    sketch::ExponentialHistogram stays(const std::string& state) {
        return totals.distribution("client_state_duration_seconds{state=\"" + state + "\"}");
    }
    static std::string labels(const std::string& from, const std::string& to) {
        return "{from=\"" + from + "\",to=\"" + to + "\"}";
    }
    std::uint64_t transitions(const std::string& from, const std::string& to) {
        return totals.counter("client_transitions_total" + labels(from, to));
    }
    sketch::ExponentialHistogram intervals(const std::string& from, const std::string& to) {
        return totals.distribution("client_transition_interval_seconds" + labels(from, to));
    }
    std::uint64_t dropped() { return totals.counter("client_transitions_dropped_total"); }

    Telemetry telemetry;
    telemetry::SegmentView view{telemetry.segment().descriptor()};
    tests::Totals totals{view};
};

}  // namespace

void TestStateTracker::counts_follow_the_transitors() {
    Fixture f;
    StateTracker clients = f.clients();
    auto one = clients.enter(Client::handshaking);
    auto two = clients.enter(Client::handshaking);
    {
        auto three = clients.enter(Client::busy);
        two.move_to(Client::idle);
        f.totals.collect();
        QCOMPARE(f.count("handshaking"), 1.0);
        QCOMPARE(f.count("idle"), 1.0);
        QCOMPARE(f.count("busy"), 1.0);
        QCOMPARE(f.count("closing"), 0.0);
    }
    one.leave();
    one.leave();
    QVERIFY(!one.in_a_state());
    f.totals.collect();
    QCOMPARE(f.count("handshaking"), 0.0);
    QCOMPARE(f.count("idle"), 1.0);
    QCOMPARE(f.count("busy"), 0.0);
}

void TestStateTracker::stays_take_as_long_as_they_did() {
    Fixture f;
    StateTracker clients = f.clients();
    {
        auto client = clients.enter(Client::busy);
        std::this_thread::sleep_for(20ms);
        client.move_to(Client::idle);
        f.totals.collect();
        QCOMPARE(f.stays("busy").count(), 1u);
        QVERIFY(*f.stays("busy").min() >= 0.0199);
        QVERIFY(f.stays("idle").empty());
        std::this_thread::sleep_for(2ms);
        client.move_to(Client::idle);
    }
    f.totals.collect();
    QCOMPARE(f.stays("busy").count(), 1u);
    QCOMPARE(f.stays("idle").count(), 2u);
    QVERIFY(f.stays("idle").sum() >= 0.00199);
    QCOMPARE(f.count("idle"), 0.0);
}

void TestStateTracker::transitions_are_counted_by_where_they_come_from_and_lead_to() {
    Fixture f;
    StateTracker clients = f.clients();
    for (int i = 0; i < 3; ++i) {
        auto client = clients.enter(Client::idle);
        client.move_to(Client::busy);
        client.move_to(Client::idle);
        client.move_to(Client::busy);
    }
    f.totals.collect();
    QCOMPARE(f.transitions("", "idle"), 3u);
    QCOMPARE(f.transitions("idle", "busy"), 6u);
    QCOMPARE(f.transitions("busy", "idle"), 3u);
    QCOMPARE(f.transitions("busy", ""), 3u);
    QCOMPARE(f.transitions("idle", ""), 0u);
    QCOMPARE(f.dropped(), 0u);
    // Four states and the counter of what was dropped, and four kinds of transitions that occurred.
    QCOMPARE(f.totals.instruments(), 4u * 2 + 1 + 4 * 2);
}

void TestStateTracker::intervals_are_between_transitions_of_a_kind() {
    Fixture f;
    StateTracker clients = f.clients();
    auto one = clients.enter(Client::idle);
    auto two = clients.enter(Client::idle);
    one.move_to(Client::busy);
    std::this_thread::sleep_for(2ms);
    two.move_to(Client::busy);
    f.totals.collect();
    QCOMPARE(f.intervals("", "idle").count(), 1u);
    QCOMPARE(f.intervals("idle", "busy").count(), 1u);
    QVERIFY(*f.intervals("idle", "busy").min() >= 0.00199);
}

void TestStateTracker::a_scope_that_an_exception_ends_leaves() {
    Fixture f;
    StateTracker clients = f.clients();
    try {
        auto client = clients.enter(Client::idle);
        client.move_to(Client::busy);
        throw std::runtime_error("gone");
    } catch (const std::runtime_error&) {
        f.totals.collect();
    }
    QCOMPARE(f.count("busy"), 0.0);
    QCOMPARE(f.transitions("busy", ""), 1u);
}

void TestStateTracker::a_transitor_moves_with_its_value() {
    static_assert(!std::is_copy_constructible_v<StateTracker::Transitor>);
    static_assert(std::is_nothrow_move_constructible_v<StateTracker::Transitor>);
    Fixture f;
    StateTracker clients = f.clients();
    StateTracker::Transitor member;
    QVERIFY(!member.in_a_state());
    {
        auto client = clients.enter(Client::idle);
        StateTracker::Transitor other = std::move(client);
        QVERIFY(!client.in_a_state());
        member = std::move(other);
    }
    f.totals.collect();
    QCOMPARE(f.count("idle"), 1.0);
    QCOMPARE(f.transitions("", "idle"), 1u);
    member = clients.enter(Client::closing);  // what it was before leaves
    f.totals.collect();
    QCOMPARE(f.count("idle"), 0.0);
    QCOMPARE(f.count("closing"), 1.0);
    QCOMPARE(f.transitions("idle", ""), 1u);
    StateTracker::Transitor& itself = member;
    member = std::move(itself);
    QVERIFY(member.in_a_state());
}

void TestStateTracker::states_are_numbers_or_enumerators() {
    Fixture f;
    StateTracker clients = f.clients();
    enum { kIdle = 1 };
    auto one = clients.enter(std::size_t{1});
    auto two = clients.enter(kIdle);
    auto three = clients.enter(Client::idle);
    f.totals.collect();
    QCOMPARE(f.count("idle"), 3.0);
}

void TestStateTracker::copies_are_one_tracker_and_so_is_another_of_the_same_name() {
    Fixture f;
    StateTracker clients = f.clients();
    StateTracker copy = clients;
    StateTracker again = f.clients();
    auto one = clients.enter(Client::idle);
    auto two = copy.enter(Client::idle);
    auto three = again.enter(Client::idle);
    f.totals.collect();
    QCOMPARE(f.count("idle"), 3.0);
    QCOMPARE(f.transitions("", "idle"), 3u);
}

void TestStateTracker::eight_threads_lose_nothing() {
    Fixture f;
    StateTracker clients = f.clients();
    constexpr unsigned kThreads = 8;
    constexpr int kEach = 2'000;
    constexpr int kMoves = 5;
    std::barrier all_at_once(kThreads);
    std::vector<std::thread> threads;
    std::vector<StateTracker::Transitor> left(kThreads);
    for (unsigned thread = 0; thread < kThreads; ++thread)
        threads.emplace_back([&, thread] {
            std::minstd_rand random(thread + 1);
            all_at_once.arrive_and_wait();  // they meet at the first use of each kind
            for (int i = 0; i < kEach; ++i) {
                auto client = clients.enter(random() % 4);
                for (int move = 0; move < kMoves; ++move)
                    client.move_to(random() % 4);
                if (i == 7) {
                    client.move_to(Client::closing);
                    left[thread] = std::move(client);
                }
            }
        });
    for (auto& thread : threads)
        thread.join();
    f.totals.collect();
    double now = 0;
    std::uint64_t stays = 0;
    std::uint64_t transitions = 0;
    std::uint64_t intervals = 0;
    std::uint64_t kinds = 0;
    std::vector<std::string> places = kStates;
    places.emplace_back();
    for (const std::string& from : places) {
        if (!from.empty()) {
            now += f.count(from);
            stays += f.stays(from).count();
        }
        for (const std::string& to : places) {
            transitions += f.transitions(from, to);
            intervals += f.intervals(from, to).count();
            if (f.transitions(from, to) > 0) ++kinds;
        }
    }
    constexpr std::uint64_t kAll = std::uint64_t{kThreads} * kEach;
    QCOMPARE(now, 8.0);
    QCOMPARE(f.count("closing"), 8.0);
    // Those that stay moved once more instead of leaving.
    QCOMPARE(stays, kAll * (kMoves + 1));
    QCOMPARE(transitions, kAll * (kMoves + 2));
    QCOMPARE(kinds, 4u * 4 + 4 + 4);
    QCOMPARE(intervals, transitions - kinds);
    QCOMPARE(f.dropped(), 0u);
    left.clear();
    f.totals.collect();
    QCOMPARE(f.count("closing"), 0.0);
}

void TestStateTracker::transitors_travel_between_threads() {
    Fixture f;
    StateTracker clients = f.clients();
    std::mutex mutex;
    std::deque<StateTracker::Transitor> queue;
    std::atomic<int> to_come = 4 * 500;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 500; ++n) {
                auto client = clients.enter(Client::idle);
                const std::lock_guard lock(mutex);
                queue.push_back(std::move(client));
            }
        });
        threads.emplace_back([&] {
            while (to_come.load() > 0) {
                StateTracker::Transitor client;
                {
                    const std::lock_guard lock(mutex);
                    if (queue.empty()) continue;
                    client = std::move(queue.front());
                    queue.pop_front();
                }
                client.move_to(Client::busy);
                to_come.fetch_sub(1);
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    f.totals.collect();
    QCOMPARE(f.count("idle"), 0.0);
    QCOMPARE(f.count("busy"), 0.0);
    QCOMPARE(f.transitions("idle", "busy"), 2000u);
    QCOMPARE(f.transitions("busy", ""), 2000u);
}

void TestStateTracker::a_process_takes_the_count_of_its_states_along() {
    Fixture f;
    StateTracker clients = f.clients();
    auto ours = clients.enter(Client::idle);
    const pid_t child = fork();
    if (child == 0) {
        tests::occupy(f.telemetry, 2, 2);
        f.telemetry.attach(2);
        auto one = clients.enter(Client::idle);
        auto two = clients.enter(Client::idle);
        two.move_to(Client::busy);
        _exit(0);  // with both alive
    }
    int status = -1;
    waitpid(child, &status, 0);
    QCOMPARE(status, 0);
    f.totals.collect();
    QCOMPARE(f.count("idle"), 2.0);
    QCOMPARE(f.count("busy"), 1.0);
    telemetry::retire_seat(f.telemetry.segment(), 2);
    f.totals.collect();
    QCOMPARE(f.count("idle"), 1.0);
    QCOMPARE(f.count("busy"), 0.0);
    QCOMPARE(f.transitions("", "idle"), 3u);
    QCOMPARE(f.transitions("idle", "busy"), 1u);
    QCOMPARE(f.stays("idle").count(), 1u);
    ours.leave();
    f.totals.collect();
    QCOMPARE(f.count("idle"), 0.0);
}

void TestStateTracker::what_was_entered_before_attaching_counts_from_its_first_move() {
    Fixture f;
    f.telemetry.detach();
    StateTracker clients = f.clients();
    auto moves = clients.enter(Client::idle);
    auto leaves = clients.enter(Client::idle);
    f.telemetry.attach(0);
    f.totals.collect();
    QCOMPARE(f.count("idle"), 0.0);
    moves.move_to(Client::busy);
    leaves.leave();
    f.totals.collect();
    QCOMPARE(f.count("idle"), 0.0);
    QCOMPARE(f.count("busy"), 1.0);
    QCOMPARE(f.transitions("", "busy"), 1u);
    QCOMPARE(f.transitions("idle", "busy"), 0u);
    QCOMPARE(f.transitions("idle", ""), 0u);
    QVERIFY(f.stays("idle").empty());
}

void TestStateTracker::transitions_without_room_are_dropped_and_counted() {
    Fixture f(4 * 2 + 1 + 2);  // room for the tracker and one kind of transition
    StateTracker clients = f.clients();
    for (int i = 0; i < 10; ++i) {
        auto client = clients.enter(Client::idle);
        client.move_to(Client::busy);
    }
    f.totals.collect();
    QCOMPARE(f.transitions("", "idle"), 10u);
    QCOMPARE(f.transitions("idle", "busy"), 0u);
    QCOMPARE(f.dropped(), 20u);
    QCOMPARE(f.stays("busy").count(), 10u);
    QCOMPARE(f.count("busy"), 0.0);
}

void TestStateTracker::a_transition_without_room_for_its_interval_is_still_counted() {
    Fixture f(256, 4);  // distributions for the stays only
    StateTracker clients = f.clients();
    for (int i = 0; i < 10; ++i)
        auto client = clients.enter(Client::idle);
    f.totals.collect();
    QCOMPARE(f.transitions("", "idle"), 10u);
    QCOMPARE(f.transitions("idle", ""), 10u);
    QVERIFY(f.intervals("", "idle").empty());
    QCOMPARE(f.dropped(), 20u);
}

void TestStateTracker::a_state_that_there_is_not_ends_a_process_with_assertions() {
#ifdef NDEBUG
    QSKIP("built without assertions");
#endif
    Fixture f;
    StateTracker clients = f.clients();
    for (const bool moves : {false, true}) {
        const pid_t child = fork();
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);  // no report by QtTest
            close(STDERR_FILENO);
            auto client = clients.enter(moves ? 0 : 4);
            client.move_to(-1);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        QVERIFY(WIFSIGNALED(status));
        QCOMPARE(WTERMSIG(status), SIGABRT);
    }
}

void TestStateTracker::bad_states_are_refused_by_name_data() {
    QTest::addColumn<QStringList>("states");
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("message");
    QTest::newRow("none") << QStringList{} << "client"
                          << "0 states";
    QStringList many;
    for (int i = 0; i < 17; ++i)
        many << QString::number(i);
    QTest::newRow("too many") << many << "client"
                              << "17 states";
    QTest::newRow("twice") << QStringList{"idle", "busy", "idle"} << "client"
                           << "'idle' is there twice";
    QTest::newRow("empty") << QStringList{"idle", ""} << "client"
                           << "state ''";
    QTest::newRow("two lines") << QStringList{"idle\nbusy"} << "client"
                               << "line";
    QTest::newRow("too long") << QStringList{QString(65, 'x')} << "client"
                              << "64 bytes";
    QTest::newRow("name") << QStringList{"idle"} << "a-b"
                          << "a-b";
    QTest::newRow("long name") << QStringList{"idle"} << QString(65, 'x') << "65 bytes";
}

void TestStateTracker::bad_states_are_refused_by_name() {
    QFETCH(QStringList, states);
    QFETCH(QString, name);
    QFETCH(QString, message);
    Fixture f;
    std::vector<std::string> list;
    for (const QString& state : states)
        list.push_back(state.toStdString());
    try {
        StateTracker(f.telemetry, name.toStdString(), "", list);
        QFAIL("accepted");
    } catch (const std::invalid_argument& error) {
        QVERIFY2(QString(error.what()).contains(message), error.what());
    }
}

QTEST_GUILESS_MAIN(TestStateTracker)
#include "test_state_tracker.moc"
