#include <QTest>

#include "agent/server/deadline_wheel.hpp"

using namespace signalbox::server;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

struct Alarm : DeadlineWheel::Entry {
    void deadline_passed(std::uint64_t now) override {
        rang_at = now;
        ++rings;
    }
    std::uint64_t rang_at = 0;
    int rings = 0;
};

/// Turns the wheel tick by tick.
void run(DeadlineWheel& wheel, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t now = from; now <= to; now += kSecond / 10)
        wheel.advance(now);
}

}  // namespace

class DeadlineWheelTest : public QObject {
    Q_OBJECT

private slots:
    void rings_once_within_two_ticks_and_never_early_data();
    void rings_once_within_two_ticks_and_never_early();
    void a_moved_deadline_counts_and_a_cleared_one_does_not();
    void an_entry_may_go_while_others_ring();
    void a_late_turn_rings_everything();
};

void DeadlineWheelTest::rings_once_within_two_ticks_and_never_early_data() {
    QTest::addColumn<int>("after");
    for (const int after : {0, 1, 99, 100, 101, 950, 10'000, 51'000, 51'300, 75'000, 200'000})
        QTest::addRow("%d ms", after) << after;
}

void DeadlineWheelTest::rings_once_within_two_ticks_and_never_early() {
    QFETCH(int, after);
    const std::uint64_t start = 1000 * kSecond + 42;
    DeadlineWheel wheel(start);
    Alarm alarm;
    wheel.set(alarm, start, std::chrono::milliseconds(after));
    run(wheel, start, start + 300 * kSecond);
    QCOMPARE(alarm.rings, 1);
    const std::uint64_t due = start + static_cast<std::uint64_t>(after) * 1'000'000;
    QVERIFY(alarm.rang_at >= due);
    QVERIFY(alarm.rang_at <= due + kSecond / 5);
}

void DeadlineWheelTest::a_moved_deadline_counts_and_a_cleared_one_does_not() {
    const std::uint64_t start = kSecond;
    DeadlineWheel wheel(start);
    Alarm later;
    Alarm earlier;
    Alarm never;
    wheel.set(later, start, 1s);
    wheel.set(later, start, 3s);
    wheel.set(earlier, start, 60s);
    wheel.set(earlier, start, 1s);
    wheel.set(never, start, 1s);
    wheel.clear(never);
    run(wheel, start, start + 2 * kSecond);
    QCOMPARE(later.rings, 0);
    QCOMPARE(earlier.rings, 1);
    run(wheel, start + 2 * kSecond, start + 100 * kSecond);
    QCOMPARE(later.rings, 1);
    QCOMPARE(earlier.rings, 1);
    QCOMPARE(never.rings, 0);
    wheel.set(never, start + 100 * kSecond, 1s);
    run(wheel, start + 100 * kSecond, start + 102 * kSecond);
    QCOMPARE(never.rings, 1);
}

void DeadlineWheelTest::an_entry_may_go_while_others_ring() {
    struct Assassin : DeadlineWheel::Entry {
        void deadline_passed(std::uint64_t) override { victim.reset(); }
        std::unique_ptr<Alarm> victim = std::make_unique<Alarm>();
    };
    DeadlineWheel wheel(kSecond);
    Assassin assassin;
    wheel.set(assassin, kSecond, 1s);
    wheel.set(*assassin.victim, kSecond, 1s);
    run(wheel, kSecond, 3 * kSecond);
    QVERIFY(!assassin.victim);
}

void DeadlineWheelTest::a_late_turn_rings_everything() {
    DeadlineWheel wheel(kSecond);
    Alarm soon;
    Alarm late;
    wheel.set(soon, kSecond, 1s);
    wheel.set(late, kSecond, 100s);
    wheel.advance(500 * kSecond);
    wheel.advance(600 * kSecond);
    QCOMPARE(soon.rings, 1);
    QCOMPARE(late.rings, 1);
}

QTEST_GUILESS_MAIN(DeadlineWheelTest)
#include "test_deadline_wheel.moc"
