// Ticks add up to the truth, whoever comes and goes.
#include <QtTest>

#include "agent/telemetry/retire.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;

class TestCollector : public QObject {
    Q_OBJECT
private slots:
    void the_first_tick_is_absolute();
    void what_a_worker_did_before_it_departed_is_not_lost();
    void a_new_generation_in_the_same_seat_starts_from_zero();
    void absolute_equals_the_sum_of_all_ticks();
    void instruments_that_appear_later_are_announced_once();
    void a_sum_and_its_count_may_come_with_different_ticks();
    void of_a_gauge_by_time_the_one_that_was_set_last_counts();
    void while_the_arbiter_folds_a_tick_is_empty_and_the_next_spans_both();
};

namespace {

struct Fixture {
    Telemetry telemetry{{.group = "test", .max_workers = 4}};
    Counter letters{telemetry, "letters_total", ""};
    Distribution sizes{telemetry, "letter_bytes", "", "bytes"};
    SegmentView view{telemetry.segment().descriptor()};
    tests::Totals totals{view};

    /// As if a worker in `seat` had done it.
    void work(unsigned seat, std::uint64_t letters_done) {
        telemetry.attach(seat);
        letters.add(letters_done);
        for (std::uint64_t i = 1; i <= letters_done; ++i)
            sizes.record(i);
    }
};

}  // namespace

void TestCollector::the_first_tick_is_absolute() {
    Fixture f;
    tests::occupy(f.telemetry, 0, 1);
    f.work(0, 5);
    const wire::Tick first = f.totals.collect();
    QVERIFY(first.absolute);
    QCOMPARE(first.number, 1u);
    const wire::Tick second = f.totals.collect();
    QVERIFY(!second.absolute);
    QCOMPARE(second.number, 2u);
    QVERIFY(second.length.count() > 0);
    QCOMPARE(f.totals.counter("letters_total"), 5u);
}

void TestCollector::what_a_worker_did_before_it_departed_is_not_lost() {
    Fixture f;
    tests::occupy(f.telemetry, 0, 1);
    f.work(0, 5);
    f.totals.collect();
    f.work(0, 7);  // seen by no tick while it lived
    retire_seat(f.telemetry.segment(), 0);
    const wire::Tick tick = f.totals.collect();
    QCOMPARE(tick.series.size(), 1u);
    QCOMPARE(tick.series[0].source, wire::Series::Source::departed);
    QCOMPARE(std::get<wire::CounterDelta>(tick.series[0].samples[0].value).increase, 7u);
    QCOMPARE(f.totals.counter("letters_total"), 12u);
    QCOMPARE(f.totals.distribution("letter_bytes").count(), 12u);
    QVERIFY(f.totals.collect().series.empty());
}

void TestCollector::a_new_generation_in_the_same_seat_starts_from_zero() {
    Fixture f;
    for (std::uint64_t generation = 1; generation <= 20; ++generation) {
        tests::occupy(f.telemetry, 2, generation);
        f.work(2, generation);
        if (generation % 3 == 0) f.totals.collect();
        retire_seat(f.telemetry.segment(), 2);
    }
    f.totals.collect();
    QCOMPARE(f.totals.counter("letters_total"), 210u);
    QCOMPARE(f.totals.distribution("letter_bytes").count(), 210u);
}

void TestCollector::absolute_equals_the_sum_of_all_ticks() {
    Fixture f;
    tests::occupy(f.telemetry, 0, 1);
    tests::occupy(f.telemetry, 4, 2);
    f.work(0, 10);
    f.work(4, 20);
    f.totals.collect();
    f.work(4, 3);
    f.totals.collect();
    retire_seat(f.telemetry.segment(), 0);
    f.totals.collect();
    const wire::Tick absolute = f.totals.collector().absolute();
    std::uint64_t sum = 0;
    for (const auto& series : absolute.series)
        for (const auto& sample : series.samples)
            if (const auto* counter = std::get_if<wire::CounterDelta>(&sample.value))
                sum += counter->increase;
    QVERIFY(absolute.absolute);
    QCOMPARE(sum, 33u);
    QCOMPARE(absolute.number, 3u);
}

void TestCollector::instruments_that_appear_later_are_announced_once() {
    Fixture f;
    Collector collector(f.view);
    QCOMPARE(collector.new_instruments().size(), 2u);
    QVERIFY(collector.new_instruments().empty());
    tests::occupy(f.telemetry, 0, 1);
    f.telemetry.attach(0);
    collector.collect();
    Counter late(f.telemetry, "late_total", "");
    late.add(4);
    const wire::Tick tick = collector.collect();
    QCOMPARE(collector.new_instruments().size(), 1u);
    QCOMPARE(std::get<wire::CounterDelta>(tick.series.at(0).samples.at(0).value).increase, 4u);
}

void TestCollector::of_a_gauge_by_time_the_one_that_was_set_last_counts() {
    Fixture f;
    Gauge version(f.telemetry, "config_version", "", Gauge::Merge::last);
    Counter neighbour(f.telemetry, "neighbour_total", "");
    const auto of_group = [&](Collector& collector) -> std::optional<wire::GaugeValue> {
        std::optional<wire::GaugeValue> together;
        for (const wire::Tick& tick : {collector.collect(), collector.absolute()}) {
            together.reset();
            for (const auto& series : tick.series)
                for (const auto& sample : series.samples)
                    if (const auto* gauge = std::get_if<wire::GaugeValue>(&sample.value))
                        together =
                            together ? wire::combined(*together, *gauge, wire::Aggregation::last) : *gauge;
        }
        return together;
    };
    tests::occupy(f.telemetry, 2, 2);
    f.telemetry.attach(2);
    version.set(8);
    tests::occupy(f.telemetry, 0, 1);
    f.telemetry.attach(0);
    neighbour.add(7);
    Collector collector(f.view);
    QCOMPARE(of_group(collector)->value, 8.0);
    version.set(3);
    QCOMPARE(of_group(collector)->value, 3.0);
    QVERIFY(of_group(collector)->age.count() >= 0);
    retire_seat(f.telemetry.segment(), 0);
    QCOMPARE(of_group(collector)->value, 8.0);
}

void TestCollector::a_sum_and_its_count_may_come_with_different_ticks() {
    Fixture f;
    tests::occupy(f.telemetry, 0, 1);
    f.work(0, 1);
    f.totals.collect();
    const detail::DistributionCell cell = f.view.entry(1)->cell;
    detail::DistributionHead& head = cell.head(detail::own_lane);
    detail::DistributionBuckets& buckets = cell.buckets(detail::own_lane);
    // As a tick sees it that looks between the two stores of a record …
    head.max.store(700);
    head.running_sum.fetch_add(700);
    f.totals.collect();
    detail::Bucket& bucket = buckets.counts[detail::bucket_of(cell, 700)];
    bucket.store(1 << 1);
    f.totals.collect();
    QCOMPARE(f.totals.distribution("letter_bytes").count(), 2u);
    QCOMPARE(f.totals.distribution("letter_bytes").sum(), 701.0);
    // … and one that reads the sum before, and the buckets after a record.
    bucket.store(2 << 1);
    f.totals.collect();
    head.running_sum.fetch_add(700);
    f.totals.collect();
    QCOMPARE(f.totals.distribution("letter_bytes").count(), 3u);
    QCOMPARE(f.totals.distribution("letter_bytes").sum(), 1401.0);
}

void TestCollector::while_the_arbiter_folds_a_tick_is_empty_and_the_next_spans_both() {
    Fixture f;
    tests::occupy(f.telemetry, 0, 1);
    f.totals.collect();
    f.work(0, 6);
    f.telemetry.segment().header().fold_sequence.fetch_add(1);
    QVERIFY(f.totals.collect().series.empty());
    f.telemetry.segment().header().fold_sequence.fetch_add(1);
    f.totals.collect();
    QCOMPARE(f.totals.counter("letters_total"), 6u);
}

QTEST_GUILESS_MAIN(TestCollector)
#include "test_collector.moc"
