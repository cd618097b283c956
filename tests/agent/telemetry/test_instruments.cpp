// What is recorded is what is read, from any thread.
#include <sys/stat.h>

#include <QtTest>
#include <barrier>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

#include "agent/telemetry/recent.hpp"
#include "agent/telemetry/seat.hpp"
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
    void a_bucket_carries_beyond_30_bits();
    void a_carry_that_was_cut_short_is_read_right_data();
    void a_carry_that_was_cut_short_is_read_right();
    void a_timers_record_counts_before_it_is_in_its_bucket();
    void a_timer_that_died_at_any_store_is_read_right();
    void a_sum_beyond_64_bits_is_exact();
    void a_sum_whose_move_was_cut_short_is_read_right_data();
    void a_sum_whose_move_was_cut_short_is_read_right();
    void threads_beyond_the_lanes_share_one_and_lose_nothing();
    void a_thread_goes_on_in_the_lane_of_one_that_ended();
    void a_timer_records_its_scope_also_when_it_is_left_by_an_exception();
    void intervals_are_between_ticks();
    void the_section_clock_agrees_with_the_monotonic_one();
    void what_is_not_a_number_is_counted_apart();
    void extremes_say_when_they_were();
    void the_last_samples_are_kept_with_their_times();
    void a_busy_instrument_spaces_its_samples_and_a_quiet_one_keeps_all_again();
    void what_is_recent_is_of_all_lanes_and_both_sides();
    void a_gauge_adds_from_many_threads_and_follows_a_function();
    void a_live_latency_distribution_touches_two_pages();
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

/// Of the distribution that was registered as number `index` (from 0), in bytes.
detail::DistributionCell cell_of(const Fixture& f, std::uint32_t index) {
    return f.view.entry(index)->cell;
}

template <class Instrument, class Value>
detail::DistributionCell record_once(const Fixture& f, Instrument& instrument, Value value) {
    instrument.record(value);
    return cell_of(f, 0);
}

/// As if it had been so busy that most records are no samples.
void rarely_sample(detail::DistributionHead& head) {
    head.sample_pace.store(50);
    telemetry::move_sum(head, telemetry::Move::to_pace);
}

/// As somebody sees it who has not looked before.
std::uint64_t count_now(const Fixture& f) {
    telemetry::DistributionTotals totals;
    telemetry::add_cells(detail::own_lane, cell_of(f, 0), totals);
    return std::accumulate(totals.above.counts.begin(), totals.above.counts.end(), std::uint64_t{0});
}

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

void TestInstruments::a_bucket_carries_beyond_30_bits() {
    Fixture f;
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    // First that of an extreme, then one between two.
    for (const std::uint64_t size : {1000u, 2000u}) {
        const detail::DistributionCell cell = record_once(f, sizes, size);
        if (size == 2000) {
            sizes.record(1'000'000);
            sizes.record(size);
        }
        auto& bucket = cell.buckets(detail::own_lane).counts[detail::bucket_of(cell, size)];
        QCOMPARE((bucket.load() & detail::kArmed) == detail::kArmed, size == 2000);
        // As if there had been so many.
        const std::uint32_t left = 5;
        const std::uint64_t before = count_now(f) - detail::counted(bucket.load());
        bucket.store((bucket.load() & detail::kArmed) | (detail::kCarryUnit - left) << 1);
        for (std::uint32_t i = 1; i <= 2 * left; ++i) {
            sizes.record(size);
            QCOMPARE(count_now(f), before + detail::kCarryUnit - left + i);
        }
        QCOMPARE(cell.buckets(detail::own_lane).carries[detail::bucket_of(cell, size)].load(), 1u);
        QCOMPARE((bucket.load() & detail::kArmed) == detail::kArmed, size == 2000);
    }
}

void TestInstruments::a_carry_that_was_cut_short_is_read_right_data() {
    QTest::addColumn<quint32>("raw");
    QTest::addColumn<quint32>("carry");
    QTest::addColumn<bool>("named");
    QTest::newRow("full") << (~0u) << 0u << false;
    QTest::newRow("wrapped") << 1u << 0u << false;
    QTest::newRow("named") << 1u << 0u << true;
    QTest::newRow("carry stored") << 1u << 1u << true;
    QTest::newRow("armed again") << detail::kArmed << 1u << true;
    QTest::newRow("not armed again") << 0u << 1u << true;
    QTest::newRow("shared, named") << (detail::kCarryUnit << 1) << 0u << true;
    QTest::newRow("shared, carry stored") << (detail::kCarryUnit << 1) << 1u << true;
}

void TestInstruments::a_carry_that_was_cut_short_is_read_right() {
    QFETCH(quint32, raw);
    QFETCH(quint32, carry);
    QFETCH(bool, named);
    Fixture f;
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    const detail::DistributionCell cell = record_once(f, sizes, 1000);
    const auto index = static_cast<std::uint32_t>(detail::bucket_of(cell, 1000));
    auto& buckets = cell.buckets(detail::own_lane);
    buckets.counts[index].store(raw);
    buckets.carries[index].store(static_cast<std::uint16_t>(carry));
    cell.head(detail::own_lane).carrying.store(named ? (index + 1) << 16 | 1 : 0);
    f.totals.collect();
    const std::uint64_t full = raw == ~0u ? detail::kCarryUnit - 1 : detail::kCarryUnit;
    QCOMPARE(f.totals.distribution("letter_bytes").count(), full);
}

void TestInstruments::a_timers_record_counts_before_it_is_in_its_bucket() {
    Fixture f;
    Duration naps(f.telemetry, "nap_seconds", "");
    const detail::DistributionCell cell = record_once(f, naps, std::chrono::microseconds(1));
    naps.record(std::chrono::microseconds(9));
    auto& head = cell.head(detail::own_lane);
    rarely_sample(head);
    std::uint64_t expected = 2;
    f.totals.collect();
    for (int i = 0; i < 300; ++i) {
        detail::record_later(cell, 1000 + static_cast<std::uint64_t>(i % 7) * 1000);
        QVERIFY(head.pending.load() != 0);
        ++expected;
        if (i % 3 == 0) f.totals.collect();
        if (i % 3 == 0) QCOMPARE(f.totals.distribution("nap_seconds").count(), expected);
        if (i % 11 == 0) {
            naps.record(std::chrono::microseconds(5));
            ++expected;
        }
    }
    f.totals.collect();
    QCOMPARE(f.totals.distribution("nap_seconds").count(), expected);
    QCOMPARE(count_now(f), expected);
}

void TestInstruments::a_timer_that_died_at_any_store_is_read_right() {
    for (const std::uint64_t next : {3000, 5000}) {
        Fixture f;
        Duration naps(f.telemetry, "nap_seconds", "");
        const detail::DistributionCell cell = record_once(f, naps, std::chrono::microseconds(1));
        naps.record(std::chrono::microseconds(9));
        auto& head = cell.head(detail::own_lane);
        rarely_sample(head);
        detail::record_later(cell, 3000);
        const auto first = static_cast<std::uint32_t>(detail::bucket_of(cell, 3000));
        const auto second = static_cast<std::uint32_t>(detail::bucket_of(cell, next));
        auto& bucket = cell.buckets(detail::own_lane).counts[first];
        const auto expect = [&](std::uint64_t count) {
            f.totals.collect();
            QCOMPARE(f.totals.distribution("nap_seconds").count(), count);
            QCOMPARE(count_now(f), count);
        };
        expect(3);
        // The next one, store by store; each may have been the last.
        head.pending.store(detail::PendingRecord::settling(second + 1, first + 1, bucket.load()));
        expect(4);
        bucket.fetch_add(2);
        expect(4);
        head.pending.store(second + 1);
        expect(4);
        detail::record_later(cell, 3000);
        expect(5);
    }
}

void TestInstruments::a_sum_beyond_64_bits_is_exact() {
    Fixture f;
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    const detail::DistributionCell cell = record_once(f, sizes, 1);
    telemetry::Uint128 sum = 1;
    std::mt19937_64 random(8);
    for (int i = 0; i < 3000; ++i) {
        const std::uint64_t size = random() >> (1 + i % 60);
        sizes.record(size);
        sum += size;
        QVERIFY(telemetry::read_sum(cell.head(detail::own_lane)) == sum);
    }
    QVERIFY(sum >> 65 != 0);
}

void TestInstruments::a_sum_whose_move_was_cut_short_is_read_right_data() {
    QTest::addColumn<int>("move");
    QTest::addColumn<quint64>("running");
    QTest::newRow("to a sample, of a full one")
        << int(telemetry::Move::to_due) << quint64{telemetry::kHalf + 77};
    QTest::newRow("to a sample, of one that is not") << int(telemetry::Move::to_due) << quint64{77};
    QTest::newRow("to where it is") << int(telemetry::Move::to_due) << quint64{telemetry::kSampleDue};
    QTest::newRow("to the pace, of a full one") << int(telemetry::Move::to_pace) << ~quint64{0};
    QTest::newRow("to the pace, of one that is not") << int(telemetry::Move::to_pace) << quint64{0};
    QTest::newRow("of a shared lane") << int(telemetry::Move::half_off) << quint64{telemetry::kHalf + 7};
}

void TestInstruments::a_sum_whose_move_was_cut_short_is_read_right() {
    QFETCH(int, move);
    QFETCH(quint64, running);
    // Every state on the way: what a move stores, in its order.
    for (const unsigned rounds : {0u, 1u, 2u}) {
        detail::DistributionHead before{};
        before.sample_pace.store(20);
        for (unsigned i = 0; i < rounds; ++i) {
            before.running_sum.store(telemetry::kHalf + i);
            telemetry::move_sum(before, telemetry::Move::to_pace);
        }
        before.running_sum.store(running);
        const telemetry::Uint128 sum = telemetry::read_sum(before);
        detail::DistributionHead after{};
        const auto copy = [](detail::DistributionHead& into, const detail::DistributionHead& from) {
            std::memcpy(static_cast<void*>(&into), &from, sizeof into);
        };
        copy(after, before);
        telemetry::move_sum(after, static_cast<telemetry::Move>(move));
        QVERIFY(telemetry::read_sum(after) == sum);
        detail::DistributionHead half{};
        copy(half, before);
        for (const int base : {0, 1}) {
            half.base_low[base].store(after.base_low[base].load());
            QVERIFY(telemetry::read_sum(half) == sum);
            half.base_high[base].store(after.base_high[base].load());
            QVERIFY(telemetry::read_sum(half) == sum);
        }
        half.turn.store(before.turn.load() | static_cast<std::uint32_t>(move));
        QVERIFY(telemetry::read_sum(half) == sum);
        half.running_sum.store(after.running_sum.load());
        QVERIFY(telemetry::read_sum(half) == sum);
        half.turn.store(after.turn.load());
        QVERIFY(telemetry::read_sum(half) == sum);
    }
}

void TestInstruments::threads_beyond_the_lanes_share_one_and_lose_nothing() {
    Fixture f;
    Counter counter(f.telemetry, "letters_total", "");
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    constexpr int kThreads = 12;
    constexpr std::uint64_t kEach = 20'000;
    std::barrier all_have_begun(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
        threads.emplace_back([&, counter, sizes]() mutable {
            counter.add();
            all_have_begun.arrive_and_wait();
            for (std::uint64_t n = 1; n <= kEach; ++n) {
                counter.add();
                sizes.record(n);
            }
        });
    for (auto& thread : threads)
        thread.join();
    QCOMPARE(f.telemetry.segment().seat(0)->lanes_touched.load(), 0b111111u);
    QCOMPARE(f.telemetry.segment().seat(0)->lanes_claimed.load(), 1u);
    f.totals.collect();
    QCOMPARE(f.totals.counter("letters_total"), kThreads * (kEach + 1));
    QCOMPARE(f.totals.distribution("letter_bytes").count(), kThreads * kEach);
    QCOMPARE(f.totals.distribution("letter_bytes").sum(),
             static_cast<double>(kThreads) * static_cast<double>(kEach * (kEach + 1) / 2));
    QCOMPARE(*f.totals.distribution("letter_bytes").max(), static_cast<double>(kEach));
}

void TestInstruments::a_thread_goes_on_in_the_lane_of_one_that_ended() {
    Fixture f;
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    for (int i = 0; i < 20; ++i)
        std::thread([sizes]() mutable { sizes.record(100); }).join();
    QCOMPARE(f.telemetry.segment().seat(0)->lanes_touched.load(), 0b11u);
    f.totals.collect();
    QCOMPARE(f.totals.distribution("letter_bytes").count(), 20u);
}

void TestInstruments::intervals_are_between_ticks() {
    Fixture f;
    Interval beats(f.telemetry, "beat_interval_seconds", "");
    Counter behind(f.telemetry, "behind_total", "");
    beats.tick();
    f.totals.collect();
    QVERIFY(f.totals.distribution("beat_interval_seconds").empty());
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Interval(f.telemetry, "beat_interval_seconds", "").tick();
    f.totals.collect();
    QCOMPARE(f.totals.distribution("beat_interval_seconds").count(), 1u);
    QVERIFY(*f.totals.distribution("beat_interval_seconds").min() >= 0.0019);
    QCOMPARE(f.totals.counter("behind_total"), 0u);
}

void TestInstruments::the_section_clock_agrees_with_the_monotonic_one() {
    Fixture f;
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t from = detail::section_now();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const std::uint64_t to = detail::section_now();
    const std::chrono::duration<double, std::nano> outer = std::chrono::steady_clock::now() - start;
    const auto measured = static_cast<double>(detail::section_nanoseconds(from, to));
    QVERIFY(measured >= 20e6 * (1 - 1e-3));
    QVERIFY(measured <= outer.count() * (1 + 1e-3));
    QCOMPARE(detail::section_nanoseconds(to, from), 0u);
}

void TestInstruments::what_is_not_a_number_is_counted_apart() {
    Fixture f;
    SignedDistribution errors(f.telemetry, "clock_error_seconds", "", "seconds", 1e9);
    for (const double value : {0.5, -0.25, 0.0, 1e-12, std::nan(""), HUGE_VAL, -HUGE_VAL})
        errors.record_value(value);
    errors.record(-250'000'000);
    telemetry::DistributionTotals totals;
    telemetry::add_cells(detail::own_lane, f.view.entry(0)->cell, totals);
    QCOMPARE(totals.nans, 1u);
    QCOMPARE(totals.above.infinities, 1u);
    QCOMPARE(totals.below.infinities, 1u);
    QCOMPARE(totals.above.zeros, 1u);
    QVERIFY(totals.above.sum == 500'000'001);
    QVERIFY(totals.below.sum == 500'000'000);
    QCOMPARE(totals.below.max, 250'000'000u);
    QCOMPARE(std::accumulate(totals.above.counts.begin(), totals.above.counts.end(), std::uint64_t{0}), 2u);
    QCOMPARE(std::accumulate(totals.below.counts.begin(), totals.below.counts.end(), std::uint64_t{0}), 2u);
}

void TestInstruments::extremes_say_when_they_were() {
    Fixture f;
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    const std::uint64_t before = telemetry::monotonic_ns();
    sizes.record(50);
    const std::uint64_t between = telemetry::monotonic_ns();
    sizes.record(900);
    sizes.record(300);
    const std::uint64_t after = telemetry::monotonic_ns();
    telemetry::DistributionTotals totals;
    telemetry::add_cells(detail::own_lane, f.view.entry(0)->cell, totals);
    QVERIFY(totals.above.min_monotonic_ns >= before && totals.above.min_monotonic_ns <= between);
    QVERIFY(totals.above.max_monotonic_ns >= between && totals.above.max_monotonic_ns <= after);
}

void TestInstruments::the_last_samples_are_kept_with_their_times() {
    Fixture f;
    SignedDistribution errors(f.telemetry, "error_ratio", "", "", 1e6);
    const auto cell = f.view.entry(0)->cell;
    const std::uint64_t begin = telemetry::monotonic_ns();
    for (int i = 1; i <= 40; ++i)
        errors.record_value(i % 2 == 0 ? i : -i);
    const std::uint64_t now = telemetry::monotonic_ns();
    const auto samples = telemetry::read_samples(detail::own_lane, cell, now);
    QCOMPARE(samples.size(), 40u);
    for (int i = 1; i <= 40; ++i) {
        const auto& sample = samples[static_cast<std::size_t>(i) - 1];
        QCOMPARE(sample.value, static_cast<double>(i % 2 == 0 ? i : -i));
        QVERIFY(sample.monotonic_ns + 100'000 >= begin && sample.monotonic_ns <= now);
    }
}

void TestInstruments::a_busy_instrument_spaces_its_samples_and_a_quiet_one_keeps_all_again() {
    Fixture f;
    Distribution sizes(f.telemetry, "letter_bytes", "", "bytes");
    const auto& head = cell_of(f, 0).head(detail::own_lane);
    for (int i = 0; i < 100'000; ++i)
        sizes.record(100);
    QVERIFY(head.sample_pace.load() > 0);
    QVERIFY(head.samples_taken.load() < 50'000);
    for (int i = 0; i < 16; ++i)
        f.telemetry.refresh();
    QCOMPARE(head.sample_pace.load(), 0u);
    sizes.record(4711);
    sizes.record(4712);
    const auto samples = telemetry::read_samples(detail::own_lane, cell_of(f, 0), telemetry::monotonic_ns());
    QCOMPARE(samples.size(), 64u);
    QCOMPARE(samples[62].value, 4711.0);
    QCOMPARE(samples[63].value, 4712.0);
}

void TestInstruments::what_is_recent_is_of_all_lanes_and_both_sides() {
    Fixture f;
    SignedDistribution errors(f.telemetry, "clock_error_seconds", "", "seconds", 1e9);
    const std::uint64_t begin = telemetry::monotonic_ns();
    errors.record_value(0.5);
    std::thread([errors]() mutable { errors.record_value(-0.25); }).join();
    const telemetry::Recent recent = telemetry::read_recent(f.view, *f.view.entry(0));
    const std::uint64_t end = telemetry::monotonic_ns();
    QCOMPARE(recent.samples.size(), 2u);
    for (const auto at : {recent.min_monotonic_ns, recent.max_monotonic_ns})
        QVERIFY(at && *at >= begin && *at <= end);
    QVERIFY(*recent.min_monotonic_ns > *recent.max_monotonic_ns);
    QVERIFY(!telemetry::Recent{}.averages());
    const telemetry::Recent steps{{}, {}, {{1, 0}, {2, 1}, {4, 2}}};
    QCOMPARE(steps.averages()->at(0), 1.5 + (4 - 1.5) / 2);
    QCOMPARE(steps.averages()->at(5), 1 + 1.0 / 64 + (4 - 1 - 1.0 / 64) / 64);
}

void TestInstruments::a_gauge_adds_from_many_threads_and_follows_a_function() {
    Fixture f;
    Gauge level(f.telemetry, "level", "");
    Gauge followed(f.telemetry, "followed", "");
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([level]() mutable {
            for (int n = 0; n < 10'000; ++n)
                level.add(n % 2 == 0 ? 3 : -2);
        });
    for (auto& thread : threads)
        thread.join();
    double value = 17;
    followed.follow(f.telemetry, [&value] { return value == 18 ? throw std::runtime_error("no") : value; });
    f.telemetry.refresh();
    value = 18;
    f.telemetry.refresh();
    f.totals.collect();
    QCOMPARE(f.totals.gauge("level"), 20'000.0);
    QCOMPARE(f.totals.gauge("followed"), 17.0);
}

void TestInstruments::a_live_latency_distribution_touches_two_pages() {
    Fixture f(300);
    constexpr int kDistributions = 200;
    std::vector<Duration> many;
    for (int i = 0; i < kDistributions; ++i)
        many.emplace_back(f.telemetry, "d" + std::to_string(i) + "_seconds", "");
    f.totals.collect();
    struct stat before {};
    struct stat after {};
    fstat(f.telemetry.segment().descriptor(), &before);
    std::mt19937_64 random(5);
    for (auto& latency : many) {
        // Medians from 50 µs to 50 ms; the 99th percentile is four times that, the longest of all ten times.
        std::lognormal_distribution<double> spread(std::uniform_real_distribution<double>(10.8, 17.7)(random),
                                                   0.6);
        for (int i = 0; i < 5000; ++i)
            latency.record(std::chrono::nanoseconds(static_cast<std::int64_t>(spread(random)) + 1));
    }
    f.totals.collect();
    fstat(f.telemetry.segment().descriptor(), &after);
    const auto pages = (after.st_blocks - before.st_blocks) * 512 / 4096;
    QVERIFY2(pages <= 2 * kDistributions, qPrintable(QString::number(double(pages) / kDistributions)));
}

void TestInstruments::a_timer_records_its_scope_also_when_it_is_left_by_an_exception() {
    Fixture f;
    Duration scope(f.telemetry, "scope_seconds", "");
    QCOMPARE(scope.timed([] { return 7; }), 7);
    try {
        scope.timed([] { throw 1; });
    } catch (int) {
        scope.record(std::chrono::nanoseconds(1));
    }
    f.totals.collect();
    QCOMPARE(f.totals.distribution("scope_seconds").count(), 3u);
    { auto timer = scope.time(); }
    scope.record(std::chrono::nanoseconds(-5));
    f.totals.collect();
    QCOMPARE(f.totals.distribution("scope_seconds").count(), 5u);
    QVERIFY(f.totals.distribution("scope_seconds").zeros() >= 1u);
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
    // Reading must not touch more than writing did: two pages of buckets for each, and what all share: a page
    // of heads and two of samples.
    QVERIFY2((after.st_blocks - before.st_blocks) * 512 <= (10 * 2 + 3) * 4096,
             qPrintable(QString::number((after.st_blocks - before.st_blocks) * 512)));
}

QTEST_GUILESS_MAIN(TestInstruments)
#include "test_instruments.moc"
