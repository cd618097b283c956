// Whatever happens to workers and whenever the arbiter folds, the ticks add up to what was recorded.
#include <QtTest>
#include <atomic>
#include <cmath>
#include <random>
#include <thread>

#include "agent/telemetry/retire.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;
using sketch::ExponentialHistogram;

class TestCollectorHistories : public QObject {
    Q_OBJECT
private slots:
    void ticks_add_up_to_what_was_recorded_data();
    void ticks_add_up_to_what_was_recorded();
    void ticks_add_up_while_another_thread_records_and_folds();
};

namespace {

constexpr unsigned kSlots = 4;

bool same(const ExponentialHistogram& a, const ExponentialHistogram& b) {
    return a.count() == b.count() && a.zeros() == b.zeros() && a.buckets() == b.buckets() &&
           a.negative_buckets() == b.negative_buckets() && a.nans() == b.nans() &&
           a.positive_infinities() == b.positive_infinities() &&
           a.negative_infinities() == b.negative_infinities() && a.underflow() == b.underflow() &&
           a.overflow() == b.overflow() && std::abs(a.sum() - b.sum()) <= 1e-9 * (1 + std::abs(b.sum()));
}

/// A group, and beside it plain sums of all that was recorded.
class History {
public:
    explicit History(std::uint64_t seed) : random_(seed) {}

    void step() {
        const unsigned seat = pick(2 * kSlots);
        switch (pick(12)) {
            case 0:
                return telemetry_.segment().seat(seat)->pid.load() == 0 ? occupy(seat) : retire(seat);
            case 1:
                return on_another_thread(seat);
            case 2:
                return lift_a_bucket(seat);
            case 3:
                return collect_while_folds_come();
            case 4:
                return collect_during_a_fold();
            case 5:
                totals.collect();
                return check(absolute());
            default:
                return work(seat);
        }
    }

    void check_the_sum_of_ticks() { check({letters_, sizes_, skews_}); }

    struct Sums {
        std::uint64_t letters = 0;
        ExponentialHistogram sizes;
        ExponentialHistogram skews;
    };
    /// What a console has that connects now, if `ticks` is what another one has added up.
    void check(const Sums& expected) const {
        QCOMPARE(totals.counter("letters_total"), expected.letters);
        QVERIFY(same(totals.distribution("letter_bytes"), expected.sizes));
        QVERIFY(same(totals.distribution("skew_seconds"), expected.skews));
    }

private:
    Telemetry telemetry_{{.group = "test", .max_workers = kSlots, .instruments = 8, .distributions = 3}};
    Counter counter_{telemetry_, "letters_total", ""};
    Distribution distribution_{telemetry_, "letter_bytes", "", "bytes"};
    SignedDistribution signed_{telemetry_, "skew_seconds", "", "seconds", 1e12};
    SegmentView view_{telemetry_.segment().descriptor()};

public:
    tests::Totals totals{view_};

private:
    unsigned pick(unsigned choices) { return static_cast<unsigned>(random_() % choices); }

    bool attach(unsigned seat) {
        if (telemetry_.segment().seat(seat)->pid.load() == 0) return false;
        telemetry_.attach(seat);
        return true;
    }
    void occupy(unsigned seat) { tests::occupy(telemetry_, seat, ++generation_); }
    void retire(unsigned seat) {
        telemetry_.detach();
        retire_seat(telemetry_.segment(), seat);
    }

    void record() {
        const std::uint64_t letters = pick(100);
        counter_.add(letters);
        letters_ += letters;
        for (unsigned i = pick(200); i > 0; --i) {
            const std::uint64_t size = pick(50) == 0 ? std::uint64_t{1} << 40 : pick(1u << pick(20));
            distribution_.record(size);
            sizes_.record(static_cast<double>(size));
            const auto skew = static_cast<std::int64_t>(random_()) >> pick(64);
            signed_.record(skew);
            skews_.record(static_cast<double>(std::clamp(skew, -INT64_MAX, INT64_MAX)) *
                          view_.entry(2)->cell.units_per_tick);
        }
        for (const double odd : {std::nan(""), HUGE_VAL, -HUGE_VAL})
            if (pick(4) == 0) {
                signed_.record_value(odd);
                skews_.record(odd);
            }
    }
    void work(unsigned seat) {
        if (attach(seat)) record();
    }
    void on_another_thread(unsigned seat) {
        if (attach(seat)) std::thread([this] { record(); }).join();
    }

    /// As if a bucket had been counted in almost 2^30 times; then it is, a few times more.
    void lift_a_bucket(unsigned seat) {
        if (!attach(seat)) return;
        const detail::DistributionCell cell = view_.entry(1)->cell;
        const auto once = [&] {
            distribution_.record(1000);
            sizes_.record(1000);
        };
        once();
        detail::Bucket& bucket = cell.buckets(detail::own_lane).counts[detail::bucket_of(cell, 1000)];
        const std::uint32_t before = detail::counted(bucket.load());
        const std::uint32_t after = std::max(before, detail::kCarryUnit - 1 - pick(20));
        bucket.store((bucket.load() & detail::kArmed) | after << 1);
        ExponentialHistogram lifted;
        lifted.add_to_bucket(sketch::bucket_index(1000), after - before);
        sizes_.merge(lifted);
        for (unsigned i = pick(40); i > 0; --i)
            once();
    }

    void collect_during_a_fold() {
        telemetry_.segment().header().fold_sequence.fetch_add(1);
        QVERIFY(totals.collect().series.empty());
        telemetry_.segment().header().fold_sequence.fetch_add(1);
    }

    /// As if short folds came one after the other. Some passes get through, some not.
    void collect_while_folds_come() {
        std::atomic<bool> enough = false;
        const int pause = static_cast<int>(pick(20'000));
        std::thread arbiter([&] {
            do {
                telemetry_.segment().header().fold_sequence.fetch_add(2);
                for (std::atomic<int> left = pause; left > 0 && !enough; --left) {
                }
            } while (!enough);
        });
        totals.collect();
        enough = true;
        arbiter.join();
        check(absolute());
    }

    Sums absolute() {
        Sums sums;
        for (const wire::Series& series : totals.collector().absolute().series)
            for (const wire::Sample& sample : series.samples) {
                if (const auto* counter = std::get_if<wire::CounterDelta>(&sample.value))
                    sums.letters += counter->increase;
                if (const auto* histogram = std::get_if<ExponentialHistogram>(&sample.value))
                    (sample.instrument == 1 ? sums.sizes : sums.skews).merge(*histogram);
            }
        return sums;
    }

    std::mt19937_64 random_;
    std::uint64_t generation_ = 0;
    std::uint64_t letters_ = 0;
    ExponentialHistogram sizes_;
    ExponentialHistogram skews_;
};

}  // namespace

void TestCollectorHistories::ticks_add_up_to_what_was_recorded_data() {
    QTest::addColumn<quint64>("seed");
    for (quint64 seed = 1; seed <= 20; ++seed)
        QTest::addRow("seed %llu", seed) << seed;
}

void TestCollectorHistories::ticks_add_up_to_what_was_recorded() {
    QFETCH(quint64, seed);
    History history(seed);
    for (int step = 0; step < 150; ++step) {
        history.step();
        if (QTest::currentTestFailed()) QFAIL(qPrintable(QString("at step %1").arg(step)));
    }
    history.totals.collect();
    history.check_the_sum_of_ticks();
}

void TestCollectorHistories::ticks_add_up_while_another_thread_records_and_folds() {
    Telemetry telemetry({.group = "test", .max_workers = 4, .instruments = 8, .distributions = 2});
    Counter letters(telemetry, "letters_total", "");
    Distribution sizes(telemetry, "letter_bytes", "", "bytes");
    SegmentView view(telemetry.segment().descriptor());
    tests::Totals totals(view);
    constexpr std::uint64_t kGenerations = 300;
    std::atomic<bool> done = false;
    std::thread arbiter([&] {
        for (std::uint64_t generation = 1; generation <= kGenerations; ++generation) {
            const unsigned seat = 2 * (generation % 4);
            tests::occupy(telemetry, seat, generation);
            telemetry.attach(seat);
            for (std::uint64_t i = 1; i <= 1000; ++i) {
                letters.add();
                sizes.record(i * generation);
            }
            telemetry.detach();
            retire_seat(telemetry.segment(), seat);
        }
        done = true;
    });
    while (!done)
        totals.collect();
    arbiter.join();
    totals.collect();
    QCOMPARE(totals.counter("letters_total"), kGenerations * 1000);
    QCOMPARE(totals.distribution("letter_bytes").count(), kGenerations * 1000);
    QCOMPARE(totals.distribution("letter_bytes").sum(), 500'500.0 * kGenerations * (kGenerations + 1) / 2);
}

QTEST_GUILESS_MAIN(TestCollectorHistories)
#include "test_collector_histories.moc"
