// Distinct elements and most frequent keys: of all threads, all workers and all that have departed.
#include <sys/stat.h>

#include <QtTest>
#include <cmath>
#include <random>
#include <thread>

#include "agent/telemetry/distinct_windows.hpp"
#include "agent/telemetry/retire.hpp"
#include "common/sketch/distinct_hash.hpp"
#include "signalbox/distinct.hpp"
#include "signalbox/heavy_hitters.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using telemetry::DistinctBlock;
using telemetry::kHourSliceNs;
using telemetry::kMinuteSliceNs;

class TestKeyedInstruments : public QObject {
    Q_OBJECT
private slots:
    void the_same_element_in_several_workers_counts_once();
    void elements_of_departed_workers_stay_counted();
    void a_window_forgets_and_all_time_does_not();
    void slices_of_departed_workers_keep_their_time();
    void a_block_that_nonsense_was_written_to_spoils_only_itself();
    void many_threads_record_as_one_would();
    void other_precisions_are_refused_beyond_the_range_and_when_they_differ();
    void frequent_keys_of_all_workers_threads_and_departed_ones_add_up();
    void a_key_beyond_its_bytes_is_shown_by_its_beginning();
    void recording_without_a_seat_does_nothing();
    void unused_instruments_touch_no_page();
};

namespace {

struct Fixture {
    Fixture() : telemetry({.group = "test", .max_workers = 2}) {}

    void become(unsigned seat, std::uint64_t generation) {
        tests::occupy(telemetry, seat, generation);
        telemetry.attach(seat);
    }
    template <class Value>
    Value value(const std::string& name) {
        telemetry::Collector collector(view);
        const wire::Tick tick = collector.collect();
        for (const auto& instrument : collector.new_instruments())
            if (instrument.name == name)
                for (const auto& series : tick.series)
                    for (const auto& sample : series.samples)
                        if (sample.instrument == instrument.index) return std::get<Value>(sample.value);
        return {};
    }
    wire::DistinctCount distinct(const std::string& name) { return value<wire::DistinctCount>(name); }
    wire::TopKeys keys(const std::string& name) { return value<wire::TopKeys>(name); }

    Telemetry telemetry;
    telemetry::SegmentView view{telemetry.segment().descriptor()};
};

bool is_about(double estimate, double truth) {
    return std::abs(estimate - truth) <= std::max(1.0, 0.05 * truth);
}

/// A block of precision 8, outside any segment.
struct Block {
    std::vector<std::uint64_t> memory = std::vector<std::uint64_t>(DistinctBlock::bytes(8) / 8);
    DistinctBlock& block = *reinterpret_cast<DistinctBlock*>(memory.data());

    void add(std::uint64_t now, int from, int to) {
        telemetry::advance(block, 8, now);
        std::atomic<std::uint8_t>* slice =
            block.registers() + (block.current.load() % telemetry::kDistinctSlices << 8);
        for (int i = from; i < to; ++i)
            sketch::add_distinct(slice, 8, std::to_string(i));
    }
    telemetry::DistinctUnion read(std::uint64_t now) const {
        telemetry::DistinctUnion all(8);
        all.add(block, now);
        return all;
    }
};

constexpr std::uint64_t kStart = 1000 * kHourSliceNs;

}  // namespace

void TestKeyedInstruments::the_same_element_in_several_workers_counts_once() {
    Fixture f;
    Distinct clients(f.telemetry, "clients", "");
    f.become(0, 1);
    for (int i = 0; i < 1000; ++i)
        clients.add("10.0.0." + std::to_string(i));
    f.become(2, 2);
    for (int i = 500; i < 1500; ++i)
        clients.add("10.0.0." + std::to_string(i));
    const wire::DistinctCount count = f.distinct("clients");
    QVERIFY2(is_about(count.ever, 1500), qPrintable(QString::number(count.ever)));
    QCOMPARE(count.last_minute, count.ever);
    QCOMPARE(count.last_hour, count.ever);
    QVERIFY(std::abs(count.relative_standard_error - 0.0119) < 0.0001);
}

void TestKeyedInstruments::elements_of_departed_workers_stay_counted() {
    Fixture f;
    Distinct clients(f.telemetry, "clients", "");
    f.become(0, 1);
    for (int i = 0; i < 1000; ++i)
        clients.add(std::to_string(i));
    const double before = f.distinct("clients").ever;
    f.telemetry.detach();
    telemetry::retire_seat(f.telemetry.segment(), 0);
    QCOMPARE(f.distinct("clients").ever, before);
    QCOMPARE(f.distinct("clients").last_minute, before);
    f.become(0, 2);
    clients.add("0");
    QCOMPARE(f.distinct("clients").ever, before);
}

void TestKeyedInstruments::a_window_forgets_and_all_time_does_not() {
    Block b;
    b.add(kStart, 0, 100);
    QVERIFY(is_about(b.read(kStart).minute.estimate(), 100));
    b.add(kStart + 3 * kMinuteSliceNs, 100, 150);
    QVERIFY(is_about(b.read(kStart + 3 * kMinuteSliceNs).minute.estimate(), 150));
    // Seven slices on, the first is out of the minute, whether its registers were used again or not.
    QVERIFY(is_about(b.read(kStart + 7 * kMinuteSliceNs).minute.estimate(), 50));
    b.add(kStart + 7 * kMinuteSliceNs, 150, 160);
    const auto after = b.read(kStart + 7 * kMinuteSliceNs);
    QVERIFY(is_about(after.minute.estimate(), 60));
    QVERIFY(is_about(after.hour.estimate(), 160));
    QVERIFY(is_about(after.ever.estimate(), 160));
    b.add(kStart + 20 * kHourSliceNs, 1000, 1010);
    const auto later = b.read(kStart + 20 * kHourSliceNs);
    QVERIFY(is_about(later.minute.estimate(), 10));
    QVERIFY(is_about(later.hour.estimate(), 10));
    QVERIFY(is_about(later.ever.estimate(), 170));
    // Many windows on, every slice has been used again.
    for (int i = 0; i < 100; ++i)
        b.add(kStart + (21 + std::uint64_t(i)) * kHourSliceNs, 2000 + i, 2001 + i);
    QVERIFY(is_about(b.read(kStart + 121 * kHourSliceNs).ever.estimate(), 270));
}

void TestKeyedInstruments::slices_of_departed_workers_keep_their_time() {
    Block retired;
    Block first;
    Block second;
    first.add(kStart, 0, 100);
    second.add(kStart + 3 * kMinuteSliceNs, 50, 150);
    telemetry::fold(second.block, retired.block, 8);
    telemetry::fold(first.block, retired.block, 8);
    telemetry::fold(first.block, retired.block, 8);
    const auto all = retired.read(kStart + 4 * kMinuteSliceNs);
    QVERIFY(is_about(all.minute.estimate(), 150));
    const auto later = retired.read(kStart + 8 * kMinuteSliceNs);
    QVERIFY(is_about(later.minute.estimate(), 100));
    QVERIFY(is_about(later.ever.estimate(), 150));
    // One that departed long ago is too old for any slice in use.
    Block ancient;
    ancient.add(kStart - 100 * kHourSliceNs, 500, 530);
    retired.add(kStart + 5 * kMinuteSliceNs, 0, 1);
    telemetry::fold(ancient.block, retired.block, 8);
    QVERIFY(is_about(retired.read(kStart + 5 * kMinuteSliceNs).ever.estimate(), 180));
    QVERIFY(is_about(retired.read(kStart + 5 * kMinuteSliceNs).minute.estimate(), 150));
}

void TestKeyedInstruments::a_block_that_nonsense_was_written_to_spoils_only_itself() {
    Block sound;
    Block broken;
    sound.add(kStart, 0, 100);
    std::mt19937_64 random(3);
    for (auto& word : broken.memory)
        word = random();
    telemetry::DistinctUnion all(8);
    QVERIFY(all.add(sound.block, kStart));
    all.add(broken.block, kStart);
    for (unsigned i = 0; i < telemetry::kDistinctSlices; ++i)
        broken.block.minute_numbers[i].store(7 * 1'000'000 + i);
    QVERIFY(!all.add(broken.block, kStart));
    QVERIFY(is_about(all.ever.estimate(), 100));
}

void TestKeyedInstruments::many_threads_record_as_one_would() {
    Fixture f;
    Distinct clients(f.telemetry, "clients", "");
    f.become(0, 1);
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([clients, t]() mutable {
            for (int i = 0; i < 20'000; ++i)
                clients.add(std::to_string(t * 10'000 + i));
        });
    for (auto& thread : threads)
        thread.join();
    QVERIFY(is_about(f.distinct("clients").ever, 90'000));
}

void TestKeyedInstruments::other_precisions_are_refused_beyond_the_range_and_when_they_differ() {
    Fixture f;
    Distinct fine(f.telemetry, "fine", "", 14);
    QVERIFY_EXCEPTION_THROWN(Distinct(f.telemetry, "coarse", "", 7), std::invalid_argument);
    QVERIFY_EXCEPTION_THROWN(Distinct(f.telemetry, "finest", "", 17), std::invalid_argument);
    QVERIFY_EXCEPTION_THROWN(Distinct(f.telemetry, "fine", "", 12), std::invalid_argument);
    QVERIFY_EXCEPTION_THROWN(HeavyHitters(f.telemetry, "fine", ""), std::invalid_argument);
    f.become(0, 1);
    for (int i = 0; i < 5000; ++i)
        fine.add(std::to_string(i));
    QVERIFY(is_about(f.distinct("fine").ever, 5000));
}

void TestKeyedInstruments::frequent_keys_of_all_workers_threads_and_departed_ones_add_up() {
    Fixture f;
    HeavyHitters paths(f.telemetry, "paths", "");
    auto work = [paths](int rounds) mutable {
        for (int i = 0; i < rounds; ++i) {
            paths.add("/letters");
            if (i % 2 == 0) paths.add("/healthy");
            if (i % 10 == 0) paths.add("/rare", 3);
        }
    };
    f.become(0, 1);
    work(1000);
    f.telemetry.detach();
    telemetry::retire_seat(f.telemetry.segment(), 0);
    f.become(2, 2);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back(work, 1000);
    for (auto& thread : threads)
        thread.join();
    work(1000);
    const wire::TopKeys keys = f.keys("paths");
    QCOMPARE(keys.total, 5u * 1800u);
    QCOMPARE(keys.missed, 0u);
    QCOMPARE(keys.entries.size(), 3u);
    QCOMPARE(keys.entries[0], (wire::TopKeys::Entry{"/letters", false, 5000, 0}));
    QCOMPARE(keys.entries[1], (wire::TopKeys::Entry{"/healthy", false, 2500, 0}));
    QCOMPARE(keys.entries[2], (wire::TopKeys::Entry{"/rare", false, 1500, 0}));
}

void TestKeyedInstruments::a_key_beyond_its_bytes_is_shown_by_its_beginning() {
    Fixture f;
    HeavyHitters paths(f.telemetry, "paths", "");
    f.become(0, 1);
    paths.add(std::string(100, 'a') + "1");
    paths.add(std::string(100, 'a') + "2");
    paths.add(std::string(100, 'a') + "2");
    const wire::TopKeys keys = f.keys("paths");
    QCOMPARE(keys.entries.size(), 2u);
    QCOMPARE(keys.entries[0], (wire::TopKeys::Entry{std::string(48, 'a'), true, 2, 0}));
}

void TestKeyedInstruments::recording_without_a_seat_does_nothing() {
    Fixture f;
    Distinct clients(f.telemetry, "clients", "");
    HeavyHitters paths(f.telemetry, "paths", "");
    f.telemetry.detach();
    clients.add("a");
    paths.add("a");
    QCOMPARE(f.distinct("clients").ever, 0.0);
    QCOMPARE(f.keys("paths").total, 0u);
}

void TestKeyedInstruments::unused_instruments_touch_no_page() {
    Fixture f;
    std::vector<HeavyHitters> tables;
    std::vector<Distinct> sets;
    for (int i = 0; i < 10; ++i) {
        tables.emplace_back(f.telemetry, "t" + std::to_string(i), "");
        sets.emplace_back(f.telemetry, "s" + std::to_string(i), "");
    }
    f.become(0, 1);
    Counter(f.telemetry, "any_total", "").add();
    telemetry::Collector collector(f.view);
    collector.collect();
    struct stat before {};
    struct stat after {};
    fstat(f.telemetry.segment().descriptor(), &before);
    f.telemetry.refresh();
    collector.collect();
    fstat(f.telemetry.segment().descriptor(), &after);
    QCOMPARE(after.st_blocks, before.st_blocks);
}

QTEST_GUILESS_MAIN(TestKeyedInstruments)
#include "test_keyed_instruments.moc"
