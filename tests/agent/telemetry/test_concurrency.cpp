// Eight threads that record everything there is, and a reader that looks all the time: nothing is lost,
// nothing is seen that was not recorded, and ThreadSanitizer has nothing to say (the reader uses the writers'
// own mapping as well, since it knows nothing of two mappings of one memory).
#include <QtTest>
#include <thread>

#include "common/sketch/heavy_hitters.hpp"
#include "signalbox/distinct.hpp"
#include "signalbox/events.hpp"
#include "signalbox/heavy_hitters.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;

class TestConcurrency : public QObject {
    Q_OBJECT
private slots:
    void eight_writers_and_a_reader();
    void processes_and_threads_register_the_same_instruments_at_once();
};

namespace {

constexpr int kThreads = 8;
constexpr std::int64_t kEach = 20'000;

struct Everything {
    explicit Everything(Telemetry& telemetry)
        : letters(telemetry, "letters_total", ""),
          level(telemetry, "level", ""),
          sizes(telemetry, "letter_bytes", "", "bytes"),
          errors(telemetry, "clock_error_seconds", "", "seconds", 1e9),
          sections(telemetry, "section_seconds", ""),
          beats(telemetry, "beat_interval_seconds", ""),
          senders(telemetry, "senders", ""),
          subjects(telemetry, "subjects", ""),
          log(telemetry) {}

    void record(int thread, std::int64_t i) {
        letters.add();
        level.add(i % 2 == 0 ? 2 : -1);
        sizes.record(static_cast<std::uint64_t>(i % 7000));
        errors.record(i % 2 == 0 ? i : -i);
        { const auto timer = sections.time(); }
        if (i % 16 != 0) return;
        beats.tick();
        senders.add(std::to_string(i % 1000));
        subjects.add(i % 3 == 0 ? "money" : "hello");
        log.info("letter", "A letter came", {{"thread", thread}, {"number", i}});
    }

    Counter letters;
    Gauge level;
    Distribution sizes;
    SignedDistribution errors;
    Duration sections;
    Interval beats;
    Distinct senders;
    HeavyHitters subjects;
    EventLog log;
};

}  // namespace

void TestConcurrency::eight_writers_and_a_reader() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    Everything everything(telemetry);
    tests::occupy(telemetry, 0, 1);
    telemetry.attach(0);
    telemetry::SegmentView view(telemetry.segment().descriptor());
    tests::Totals totals(view);
    totals.collect();

    std::atomic<int> working = kThreads;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread)
        threads.emplace_back([&, thread] {
            for (std::int64_t i = 1; i <= kEach; ++i)
                everything.record(thread, i);
            --working;
        });

    const auto cell_of = [&view](const std::string& name) {
        for (std::uint32_t i = 0; !view.entry_is_vacant(i); ++i)
            if (const auto entry = view.entry(i); entry && entry->instrument.name == name) return entry->cell;
        return telemetry::InstrumentCell{};
    };
    const auto errors = cell_of("clock_error_seconds");
    const auto subjects = cell_of("subjects");
    std::uint64_t seen = 0;
    while (working.load() > 0) {
        const wire::Tick tick = totals.collect();
        QVERIFY(totals.counter("letters_total") >= seen);
        seen = totals.counter("letters_total");
        telemetry::DistributionTotals read;
        sketch::HeavyHitters keys;
        for (unsigned lane = 0; lane < view.geometry().lane_count; ++lane) {
            const std::byte* base = telemetry.segment().lane(0, lane);
            telemetry::add_cells(base, errors, read);
            telemetry::read_samples(base, errors, 0);
            keys.merge(sketch::read(
                *reinterpret_cast<const sketch::SpaceSavingTable*>(base + subjects.block_offset)));
        }
        QVERIFY(read.below.max <= kEach && read.above.max <= kEach);
        for (const auto& key : keys.entries)
            QVERIFY(key.key == "money" || key.key == "hello");
        std::vector<telemetry::RawEvent> events;
        std::uint64_t next = 0;
        view.read_seat_events(0, next, events);
        for (const auto& event : events)
            QCOMPARE(event.text, std::string("A letter came"));
        telemetry.refresh();
    }
    for (auto& thread : threads)
        thread.join();

    totals.collect();
    QCOMPARE(totals.counter("letters_total"), std::uint64_t{kThreads * kEach});
    QCOMPARE(totals.gauge("level"), static_cast<double>(kThreads * kEach) / 2);
    for (const char* name : {"letter_bytes", "clock_error_seconds", "section_seconds"})
        QCOMPARE(totals.distribution(name).count(), std::uint64_t{kThreads * kEach});
    QCOMPARE(totals.distribution("beat_interval_seconds").count(), std::uint64_t{kThreads * kEach / 16 - 1});
    QCOMPARE(totals.distribution("clock_error_seconds").sum(),
             static_cast<double>(kThreads * kEach / 2) * 1e-9);
}

void TestConcurrency::processes_and_threads_register_the_same_instruments_at_once() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    tests::occupy(telemetry, 0, 1);
    telemetry.attach(0);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread)
        threads.emplace_back([&telemetry] {
            for (int i = 0; i < 50; ++i)
                Counter(telemetry, "c" + std::to_string(i) + "_total", "").add();
        });
    for (auto& thread : threads)
        thread.join();
    telemetry::SegmentView view(telemetry.segment().descriptor());
    tests::Totals totals(view);
    totals.collect();
    for (int i = 0; i < 50; ++i)
        QCOMPARE(totals.counter("c" + std::to_string(i) + "_total"), std::uint64_t{kThreads});
    QVERIFY(view.entry_is_vacant(50));
}

QTEST_GUILESS_MAIN(TestConcurrency)
#include "test_concurrency.moc"
