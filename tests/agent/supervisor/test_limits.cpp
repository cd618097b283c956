// Limits, jitter and back-off: arithmetic, without processes.
#include <QtTest>
#include <set>

#include "agent/supervisor/back_off.hpp"
#include "agent/supervisor/limits.hpp"
#include "agent/supervisor/spread.hpp"

using namespace signalbox;
using namespace signalbox::supervisor;
using namespace std::chrono_literals;

class TestLimits : public QObject {
    Q_OBJECT
private slots:
    void no_limit_is_never_passed();
    void a_breach_says_the_value_and_the_limit_data();
    void a_breach_says_the_value_and_the_limit();
    void a_limit_itself_is_not_too_much();
    void each_worker_has_a_tenth_more_or_less_of_requests_and_age();
    void the_same_late_turn_counts_once();
    void late_turns_are_forgotten_after_a_minute();
    void jitter_is_spread_evenly_and_the_same_again();
    void waits_double_up_to_the_longest();
    void success_starts_over();
};

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

Limits all_limits() {
    Limits limits;
    limits.memory = 96_MiB;
    limits.open_files = 1000;
    limits.requests = 10'000;
    limits.age = 3600s;
    limits.lag = 200ms;
    return limits;
}

std::string text_of(const std::optional<Breach>& breach) {
    return breach ? std::string(breach->event) + " " + std::string(breach->setting) + ": " + breach->text
                  : "none";
}

}  // namespace

void TestLimits::no_limit_is_never_passed() {
    const Vitals vitals{UINT64_MAX, UINT32_MAX, UINT64_MAX, 100'000h, kLateTurns, 0.5};
    QCOMPARE(text_of(find_breach(Limits{}, vitals)), std::string("none"));
}

void TestLimits::a_breach_says_the_value_and_the_limit_data() {
    QTest::addColumn<std::string>("expected");
    QTest::addColumn<std::uint64_t>("bytes");
    QTest::addColumn<std::uint64_t>("files");
    QTest::addColumn<std::uint64_t>("requests");
    QTest::addColumn<unsigned>("seconds");
    QTest::addColumn<unsigned>("late");
    const auto row = [](const char* expected, std::uint64_t bytes, std::uint64_t files,
                        std::uint64_t requests, unsigned seconds, unsigned late) {
        QTest::newRow(expected) << std::string(expected) << bytes << files << requests << seconds << late;
    };
    row("memory_limit worker_memory_limit: 1,100 MiB of memory, limit 96 MiB", 1100u << 20, 0, 0, 0, 0);
    row("open_files_limit worker_open_files_limit: 1,001 open files, limit 1,000", 0, 1001, 0, 0, 0);
    row("request_limit worker_request_limit: 10,007 requests, limit 10,000", 0, 0, 10'007, 0, 0);
    row("age_limit worker_age_limit: 3,601 s old, limit 3,600 s", 0, 0, 0, 3601, 0);
    row("lag_limit worker_lag_limit: its event loop was more than 200 ms late 10 times within a minute", 0, 0,
        0, 0, kLateTurns);
    row("none", 0, 0, 0, 0, kLateTurns - 1);
}

void TestLimits::a_breach_says_the_value_and_the_limit() {
    QFETCH(std::string, expected);
    QFETCH(std::uint64_t, bytes);
    QFETCH(std::uint64_t, files);
    QFETCH(std::uint64_t, requests);
    QFETCH(unsigned, seconds);
    QFETCH(unsigned, late);
    QCOMPARE(
        text_of(find_breach(all_limits(), {bytes, files, requests, std::chrono::seconds(seconds), late, 0})),
        expected);
}

void TestLimits::a_limit_itself_is_not_too_much() {
    QCOMPARE(text_of(find_breach(all_limits(), {96u << 20, 1000, 10'000, 3600s, 0, 0})), std::string("none"));
}

void TestLimits::each_worker_has_a_tenth_more_or_less_of_requests_and_age() {
    const auto breach = [](std::uint64_t requests, std::chrono::seconds age, double jitter) {
        return text_of(find_breach(all_limits(), {0, 0, requests, age, 0, jitter}));
    };
    QCOMPARE(breach(10'500, 0s, 0.5), std::string("none"));
    QCOMPARE(breach(10'501, 0s, 0.5),
             std::string("request_limit worker_request_limit: 10,501 requests, limit 10,500"));
    QCOMPARE(breach(0, 3780s, 0.5), std::string("none"));
    QCOMPARE(breach(0, 3781s, 0.5), std::string("age_limit worker_age_limit: 3,781 s old, limit 3,780 s"));
    QVERIFY(breach(11'001, 0s, 0.999999) != "none");
}

void TestLimits::the_same_late_turn_counts_once() {
    LateTurns late;
    for (int look = 0; look < 20; ++look)
        late.note(7, 10 * kSecond);
    QCOMPARE(late.recent(10 * kSecond), 1u);
}

void TestLimits::late_turns_are_forgotten_after_a_minute() {
    LateTurns late;
    for (std::uint64_t turn = 1; turn <= 25; ++turn)
        late.note(turn, turn * 10 * kSecond);
    QCOMPARE(late.recent(250 * kSecond), 6u);
    QCOMPARE(late.recent(400 * kSecond), 0u);
    for (std::uint64_t turn = 100; turn < 125; ++turn)
        late.note(turn, 500 * kSecond + turn);
    QCOMPARE(late.recent(501 * kSecond), kLateTurns);
}

void TestLimits::jitter_is_spread_evenly_and_the_same_again() {
    std::array<int, 10> tenths{};
    std::set<double> seen;
    for (std::uint64_t generation = 0; generation < 10'000; ++generation) {
        const double value = spread(42, generation);
        QVERIFY(value >= 0 && value < 1);
        QCOMPARE(spread(42, generation), value);
        QVERIFY(spread(43, generation) != value);
        ++tenths[static_cast<std::size_t>(value * 10)];
        seen.insert(value);
    }
    QCOMPARE(seen.size(), 10'000u);
    // Each is binomial with a standard deviation of 30.
    for (const int count : tenths)
        QVERIFY2(std::abs(count - 1000) < 200, qPrintable(QString::number(count)));
}

void TestLimits::waits_double_up_to_the_longest() {
    BackOff back_off(100ms);
    for (const auto whole :
         {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms, 25600ms, 51200ms, 60000ms}) {
        BackOff other = back_off;
        QCOMPARE(other.failed(0.0, 60s), std::chrono::nanoseconds(whole) / 2);
        QCOMPARE(back_off.failed(1.0, 60s), std::chrono::nanoseconds(whole));
    }
    for (int many = 0; many < 1000; ++many)
        QCOMPARE(back_off.failed(1.0, 60s), std::chrono::nanoseconds(60s));
}

void TestLimits::success_starts_over() {
    BackOff back_off(100ms);
    for (int failure = 1; failure <= 5; ++failure)
        back_off.failed(1.0, 60s);
    QCOMPARE(back_off.failures(), 5u);
    back_off.succeeded();
    QCOMPARE(back_off.failures(), 0u);
    QCOMPARE(back_off.failed(1.0, 60s), std::chrono::nanoseconds(100ms));
}

QTEST_APPLESS_MAIN(TestLimits)
#include "test_limits.moc"
