// What is recorded is what is read, from any thread.
#include <sys/stat.h>

#include <QtTest>
#include <cmath>
#include <random>
#include <thread>

#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;

class TestInstruments : public QObject {
    Q_OBJECT
private slots:
    void a_record_before_attaching_does_nothing();
    void counters_gauges_and_distributions_are_read_back();
    void quantiles_are_within_the_stated_error();
    void other_threads_lose_nothing_beside_the_owner();
    void zeros_and_values_out_of_range_are_counted_apart();
    void a_bucket_carries_beyond_32_bits();
    void a_carry_that_was_cut_short_is_read_right();
    void a_timer_records_its_scope();
    void untouched_instruments_use_no_pages();
};

namespace {

struct Fixture {
    explicit Fixture(unsigned instruments = 64)
        : telemetry({.group = "test", .max_workers = 1, .instruments = instruments}) {
        tests::occupy(telemetry, 0, 1);
        telemetry.attach(0);
    }
    Telemetry telemetry;
    telemetry::SegmentView view{telemetry.segment().descriptor()};
    tests::Totals totals{view};
};

}  // namespace

void TestInstruments::a_record_before_attaching_does_nothing() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    Counter counter(telemetry, "letters_total", "");
    Gauge gauge(telemetry, "boxes", "");
    Distribution sizes(telemetry, "letter_bytes", "", "bytes");
    counter.add();
    gauge.set(3);
    sizes.record(7);
    telemetry::SegmentView view(telemetry.segment().descriptor());
    tests::Totals totals(view);
    totals.collect();
    QCOMPARE(totals.counter("letters_total"), 0u);
    QVERIFY(totals.distribution("letter_bytes").empty());
}

void TestInstruments::counters_gauges_and_distributions_are_read_back() {
    Fixture f;
    Counter letters(f.telemetry, "letters_total", "Letters");
    Gauge boxes(f.telemetry, "boxes", "Boxes");
    Distribution sizes(f.telemetry, "letter_bytes", "Sizes", "bytes");
    letters.add();
    letters.add(41);
    boxes.set(-2.5);
    for (std::uint64_t size : {100u, 200u, 300u})
        sizes.record(size);
    f.totals.collect();
    QCOMPARE(f.totals.counter("letters_total"), 42u);
    QCOMPARE(f.totals.gauge("boxes"), -2.5);
    const auto read = f.totals.distribution("letter_bytes");
    QCOMPARE(read.count(), 3u);
    QCOMPARE(read.sum(), 600.0);
    QCOMPARE(*read.min(), 100.0);
    QCOMPARE(*read.max(), 300.0);

    letters.add(8);
    const wire::Tick second = f.totals.collect();
    QVERIFY(!second.absolute);
    QCOMPARE(f.totals.counter("letters_total"), 50u);
    QCOMPARE(f.totals.distribution("letter_bytes").count(), 3u);
}

void TestInstruments::quantiles_are_within_the_stated_error() {
    Fixture f;
    Duration latency(f.telemetry, "latency_seconds", "");
    std::mt19937_64 random(7);
    std::lognormal_distribution<double> spread(13, 1.5);  // around 0.4 ms
    std::vector<double> values;
    for (int i = 0; i < 100'000; ++i) {
        const auto elapsed = std::chrono::nanoseconds(static_cast<std::int64_t>(spread(random)) + 1);
        latency.record(elapsed);
        values.push_back(std::chrono::duration<double>(elapsed).count());
    }
    std::sort(values.begin(), values.end());
    f.totals.collect();
    const auto read = f.totals.distribution("latency_seconds");
    for (const double q : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        const double exact = values[static_cast<std::size_t>(std::ceil(q * 100'000)) - 1];
        QVERIFY2(std::abs(*read.quantile(q) - exact) <= 0.0028 * exact, qPrintable(QString::number(q)));
    }
}

void TestInstruments::other_threads_lose_nothing_beside_the_owner() {
    Fixture f;
    Counter counter(f.telemetry, "letters_total", "");
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    constexpr int kThreads = 4;
    constexpr std::uint64_t kEach = 50'000;
    auto work = [counter, sizes]() mutable {
        for (std::uint64_t i = 1; i <= kEach; ++i) {
            counter.add();
            sizes.record(i % 1000 + 1);
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
        threads.emplace_back(work);
    for (std::uint64_t i = 0; i < 20; ++i)
        f.totals.collect();
    work();
    for (auto& thread : threads)
        thread.join();
    f.totals.collect();
    QCOMPARE(f.totals.counter("letters_total"), (kThreads + 1) * kEach);
    QCOMPARE(f.totals.distribution("letter_bytes").count(), (kThreads + 1) * kEach);
    double sum = 0;
    for (std::uint64_t i = 1; i <= kEach; ++i)
        sum += static_cast<double>(i % 1000 + 1);
    QCOMPARE(f.totals.distribution("letter_bytes").sum(), sum * (kThreads + 1));
}

void TestInstruments::zeros_and_values_out_of_range_are_counted_apart() {
    Fixture f;
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    sizes.record(0);
    sizes.record(1);
    sizes.record(std::uint64_t{1} << 40);  // beyond 2^34
    sizes.record(UINT64_MAX);
    f.totals.collect();
    const auto read = f.totals.distribution("letter_bytes");
    QCOMPARE(read.count(), 4u);
    QCOMPARE(read.zeros(), 1u);
    QCOMPARE(*read.min(), 0.0);
    QVERIFY(std::abs(*read.quantile(0.5) - 1.0) <= 0.0028);
}

void TestInstruments::a_bucket_carries_beyond_32_bits() {
    Fixture f;
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    sizes.record(1000);
    const detail::DistributionCell cell{0, f.view.geometry().heads_bytes, 1};
    auto& bucket = cell.buckets(detail::lane().base).counts[detail::bucket_of(cell, 1000)];
    QCOMPARE(bucket.load(), 1u);
    bucket.store(UINT32_MAX);
    sizes.record(1000);
    QCOMPARE(bucket.load(), 0u);
    f.totals.collect();
    QCOMPARE(f.totals.distribution("letter_bytes").count(), std::uint64_t{1} << 32);
    sizes.record(1000);
    f.totals.collect();
    QCOMPARE(f.totals.distribution("letter_bytes").count(), (std::uint64_t{1} << 32) + 1);
}

void TestInstruments::a_carry_that_was_cut_short_is_read_right() {
    Fixture f;
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    sizes.record(1000);
    const detail::DistributionCell cell{0, f.view.geometry().heads_bytes, 1};
    const std::uint32_t index = detail::bucket_of(cell, 1000);
    auto& buckets = cell.buckets(detail::lane().base);
    // As if the owner had died between storing the carry and zeroing the bucket.
    buckets.counts[index].store(UINT32_MAX);
    buckets.carries[index].store(1);
    cell.head(detail::lane().base).carrying.store((std::uint64_t{index} + 1) << 16 | 1);
    f.totals.collect();
    QCOMPARE(f.totals.distribution("letter_bytes").count(), std::uint64_t{UINT32_MAX});
}

void TestInstruments::a_timer_records_its_scope() {
    Fixture f;
    Duration scope(f.telemetry, "scope_seconds", "");
    { auto timer = scope.time(); }
    scope.record(std::chrono::nanoseconds(-5));
    f.totals.collect();
    QCOMPARE(f.totals.distribution("scope_seconds").count(), 2u);
    QCOMPARE(f.totals.distribution("scope_seconds").zeros(), 1u);
}

void TestInstruments::untouched_instruments_use_no_pages() {
    Fixture f(200);
    std::vector<Distribution> many;
    for (int i = 0; i < 100; ++i)
        many.emplace_back(f.telemetry, "d" + std::to_string(i) + "_bytes", "", "bytes");
    struct stat before {};
    struct stat after {};
    f.totals.collect();
    fstat(f.telemetry.segment().descriptor(), &before);
    for (int i = 0; i < 10; ++i)
        for (std::uint64_t size = 64; size < 8192; size += 64)
            many[static_cast<std::size_t>(i)].record(size);
    f.totals.collect();
    fstat(f.telemetry.segment().descriptor(), &after);
    // Reading must not touch more than writing did: at most two pages of buckets for each.
    QVERIFY2((after.st_blocks - before.st_blocks) * 512 <= 10 * 2 * 4096,
             qPrintable(QString::number((after.st_blocks - before.st_blocks) * 512)));
}

QTEST_GUILESS_MAIN(TestInstruments)
#include "test_instruments.moc"
