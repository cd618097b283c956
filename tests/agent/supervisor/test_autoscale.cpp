// The policies of autoscaling and of the memory limit, with a clock and a load that are simulated.
#include <QTest>
#include <algorithm>
#include <functional>
#include <vector>

#include "agent/supervisor/autoscale.hpp"

using namespace signalbox;
using namespace signalbox::supervisor;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

/// A group whose workers share the load evenly, and whose successors take a second to start.
struct Simulation {
    /// Work in whole processors at a time, in seconds.
    std::function<double(double)> load = [](double) { return 0.0; };
    /// How many workers it takes so that nobody waits (handlers that block take no processor).
    std::function<unsigned(double)> blocked = [](double) { return 0u; };
    std::function<std::uint64_t(unsigned workers)> memory = [](unsigned) { return std::uint64_t{0}; };
    ScalingGoals goals{.min = 1, .max = 32};
    unsigned workers = 2;

    struct Step {
        double at;
        unsigned workers;
        std::string reason;
    };

    /// The decisions of so many seconds.
    std::vector<Step> run(double seconds) {
        std::vector<Step> steps;
        for (const double end = now + seconds; now < end; now += 0.25) {
            const unsigned serving = now - started_at < 1 ? std::min(serving_before, workers) : workers;
            LoadSample sample{
                .now = static_cast<std::uint64_t>((now + 1) * 1e9), .workers = workers, .serving = serving};
            sample.busy = std::min(1.0, load(now) / serving);
            // The kernel counts in hundredths: a sample is off by up to 4 %.
            sample.busy = std::clamp(sample.busy + 0.04 * (random() % 3 - 1.0), 0.0, 1.0);
            sample.wait_ns = load(now) > serving || blocked(now) > serving ? kSecond : 0;
            sample.memory = memory(serving);
            if (const auto decision = scaler.look(sample, goals)) {
                steps.push_back({now, decision->workers, decision->reason});
                if (decision->workers > workers) started_at = now;
                serving_before = workers;
                workers = decision->workers;
            }
        }
        return steps;
    }
    unsigned random() { return (seed = seed * 1664525u + 1013904223u) >> 16; }

    Autoscaler scaler;
    double now = 0;
    double started_at = -10;
    unsigned serving_before = 0;
    std::uint32_t seed = 1;
};

const auto constant = [](double load) { return [load](double) { return load; }; };

}  // namespace

class AutoscaleTest : public QObject {
    Q_OBJECT
private slots:
    void a_constant_load_settles_data();
    void a_constant_load_settles();
    void a_step_up_is_followed_within_seconds();
    void a_step_down_is_followed_one_by_one();
    void a_load_that_blocks_is_not_let_go_again_and_again();
    void a_peak_that_is_short_changes_nothing();
    void memory_holds_the_group_back();
    void the_most_and_the_fewest_are_kept();
    void who_scales_has_the_last_word_for_a_while();
    void workers_that_start_are_waited_for();
    void the_largest_worker_is_cycled_one_at_a_time();
};

void AutoscaleTest::a_constant_load_settles_data() {
    QTest::addColumn<double>("load");
    QTest::addColumn<int>("at_the_start");
    for (const double load : {0.0, 0.3, 0.79, 0.81, 1.5, 1.61, 3.0, 7.9, 12.0, 25.5})
        for (const int workers : {1, 2, 8, 32})
            QTest::addRow("%g for %d", load, workers) << load << workers;
}

void AutoscaleTest::a_constant_load_settles() {
    QFETCH(double, load);
    QFETCH(int, at_the_start);
    Simulation group;
    group.load = constant(load);
    group.workers = static_cast<unsigned>(at_the_start);
    const auto first = group.run(4 * 3600);
    const unsigned settled = group.workers;
    for (const auto& step : group.run(24 * 3600))
        QVERIFY2(step.workers == settled, "it goes on changing");
    const double busy = load / settled;
    QVERIFY2(busy <= 0.85 && (settled == 1 || load / (settled - 1) >= 0.45),
             qPrintable(QString("%1 workers for %2").arg(settled).arg(load)));
    // In one direction, then at most back from what was too far.
    int turns = 0;
    for (std::size_t i = 2; i < first.size(); ++i)
        turns += (first[i].workers > first[i - 1].workers) != (first[i - 1].workers > first[i - 2].workers);
    QVERIFY2(turns <= 1, qPrintable(QString("%1 turns").arg(turns)));
}

void AutoscaleTest::a_step_up_is_followed_within_seconds() {
    Simulation group;
    group.load = [](double now) { return now < 600 ? 0.9 : 9.0; };
    group.run(600);
    QCOMPARE(group.workers, 2u);
    const auto steps = group.run(20);
    QVERIFY2(group.workers >= 12, qPrintable(QString::number(group.workers)));
    // By one, two, four ..., never more than twice as many.
    unsigned before = 2;
    for (const auto& step : steps) {
        QVERIFY(step.workers > before && step.workers <= 2 * before);
        before = step.workers;
    }
    QVERIFY(steps.front().at >= 601 && steps.front().at < 603);
    QVERIFY2(steps.front().reason.starts_with("connections wait 1000 ms for a worker"),
             steps.front().reason.c_str());
}

void AutoscaleTest::a_step_down_is_followed_one_by_one() {
    Simulation group;
    group.load = [](double now) { return now < 36'000 ? 6.0 : 0.4; };
    group.run(36'000);
    const unsigned before = group.workers;
    QVERIFY(before >= 8);
    const auto steps = group.run(3 * 3600);
    QCOMPARE(group.workers, 1u);
    QCOMPARE(steps.size(), std::size_t{before - 1});
    double last = 36'000;
    for (const auto& step : steps) {
        QVERIFY2(step.at - last >= 179, qPrintable(QString("%1 after %2").arg(step.at).arg(last)));
        QVERIFY2(step.reason.find("less than 50 % busy") != std::string::npos, step.reason.c_str());
        last = step.at;
    }
}

/// The processors are idle, and yet each worker is needed.
void AutoscaleTest::a_load_that_blocks_is_not_let_go_again_and_again() {
    Simulation group;
    group.blocked = [](double) { return 6u; };
    group.run(60);
    QVERIFY(group.workers >= 6);
    const auto steps = group.run(48 * 3600);
    QVERIFY2(steps.size() < 80, qPrintable(QString::number(steps.size())));
    QVERIFY(group.workers >= 5);
}

void AutoscaleTest::a_peak_that_is_short_changes_nothing() {
    Simulation group;
    group.load = [](double now) {
        return static_cast<int>(now) % 60 == 0 && now - static_cast<int>(now) < 0.6 ? 2.0 : 1.2;
    };
    const auto steps = group.run(3600);
    QVERIFY2(steps.empty(), steps.empty() ? "" : steps.front().reason.c_str());
}

void AutoscaleTest::memory_holds_the_group_back() {
    Simulation group;
    group.load = constant(20);
    group.goals.memory_limit = Bytes{10'000};
    group.memory = [](unsigned workers) { return 1'000 + 1'000 * std::uint64_t{workers}; };
    const auto steps = group.run(600);
    QVERIFY2(group.memory(group.workers) <= 9'000, qPrintable(QString::number(group.workers)));
    QVERIFY(group.workers >= 6);
    QCOMPARE(steps.back().workers, group.workers);
    QVERIFY2(steps.back().reason.find("of total_memory_limit") != std::string::npos,
             steps.back().reason.c_str());
    QCOMPARE(
        std::count_if(steps.begin(), steps.end(),
                      [](const auto& step) { return step.reason.find("total_memory") != std::string::npos; }),
        1);
}

void AutoscaleTest::the_most_and_the_fewest_are_kept() {
    Simulation group;
    group.goals.min = 3;
    group.goals.max = 5;
    QCOMPARE(group.run(1).front().reason, std::string("min_workers is 3"));
    group.load = constant(100);
    const auto steps = group.run(600);
    QCOMPARE(group.workers, 5u);
    QVERIFY2(steps.back().reason.ends_with(", but max_workers is 5"), steps.back().reason.c_str());
    group.load = constant(0);
    group.run(3600);
    QCOMPARE(group.workers, 3u);
}

void AutoscaleTest::who_scales_has_the_last_word_for_a_while() {
    Simulation group;
    group.load = constant(4);
    group.run(10);
    group.workers = 1;
    group.scaler.somebody_scaled(static_cast<std::uint64_t>((group.now + 1) * 1e9));
    QVERIFY(group.run(599).empty());
    QVERIFY(!group.run(10).empty());
}

void AutoscaleTest::workers_that_start_are_waited_for() {
    Autoscaler scaler;
    for (std::uint64_t now = 1; now < 600; ++now)
        QVERIFY(!scaler.look(
            {.now = now * kSecond, .workers = 4, .serving = 3, .wait_ns = kSecond, .busy = 1}, {}));
}

void AutoscaleTest::the_largest_worker_is_cycled_one_at_a_time() {
    MemoryGuard guard;
    const Bytes limit{1000};
    QVERIFY(!guard.wants_cycle(1 * kSecond, 5000, Bytes{0}, true));
    QVERIFY(!guard.wants_cycle(1 * kSecond, 1000, limit, true));
    QVERIFY(guard.wants_cycle(2 * kSecond, 1001, limit, true));
    QVERIFY(!guard.wants_cycle(3 * kSecond, 1001, limit, false));
    QVERIFY(!guard.wants_cycle(11 * kSecond, 1001, limit, true));
    QVERIFY(!guard.wants_cycle(13 * kSecond, 1001, limit, false));  // one is being cycled
    QVERIFY(guard.wants_cycle(14 * kSecond, 1001, limit, true));
    // What does not help is done ever more rarely.
    unsigned cycles = 0;
    for (std::uint64_t now = 15; now < 15 + 24 * 3600; ++now)
        cycles += guard.wants_cycle(now * kSecond, 1001, limit, true);
    QVERIFY2(cycles > 100 && cycles < 160, qPrintable(QString::number(cycles)));
    QVERIFY(!guard.wants_cycle(100'000 * kSecond, 900, limit, true));
    QVERIFY(guard.wants_cycle(100'001 * kSecond, 1001, limit, true));
    QVERIFY(guard.wants_cycle(100'012 * kSecond, 1001, limit, true));
}

QTEST_APPLESS_MAIN(AutoscaleTest)
#include "test_autoscale.moc"
