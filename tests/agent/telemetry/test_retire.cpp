// A departed generation counts exactly once, wherever folding is cut off, and whenever its process was
// killed.
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>
#include <random>
#include <thread>

#include "agent/telemetry/retire.hpp"
#include "agent/telemetry/seat.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;

class TestRetire : public QObject {
    Q_OBJECT
private slots:
    void folding_empties_the_seat_but_keeps_its_events();
    void a_fold_that_was_cut_off_at_any_point_counts_once();
    void killed_workers_lose_at_most_the_update_in_flight();
};

namespace {

/// A while that is not the same twice, without a system call.
void spin(int turns) {
    std::atomic<int> left = turns;
    while (left.fetch_sub(1) > 0) {
    }
}

std::uint64_t total(const SegmentView& view, const std::string& name) {
    tests::Totals totals(view);
    totals.collect();
    return totals.counter(name);
}

}  // namespace

void TestRetire::folding_empties_the_seat_but_keeps_its_events() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    Counter letters(telemetry, "letters_total", "");
    tests::occupy(telemetry, 0, 1);
    telemetry.attach(0);
    letters.add(3);
    SeatWriter(telemetry.segment(), 0).log(wire::Severity::error, "last_words", "Ouch.");
    SeatWriter(telemetry.segment(), 0).log(wire::Severity::debug, "chatter", "Oh.");
    retire_seat(telemetry.segment(), 0);
    SegmentView view(telemetry.segment().descriptor());
    QVERIFY(view.workers().empty());
    QCOMPARE(total(view, "letters_total"), 3u);
    std::vector<RawEvent> events;
    std::uint64_t next = 0;
    view.read_seat_events(0, next, events);
    QCOMPARE(events.at(0).text, std::string("Ouch."));
    QCOMPARE(events.at(0).generation, 1u);
    next = 0;
    view.read_seat_actions(0, next, events);
    QCOMPARE(events.at(1).text, std::string("Oh."));
}

void TestRetire::a_fold_that_was_cut_off_at_any_point_counts_once() {
    // A child folds and is killed after a random while; the segment must add up at every moment it may have
    // stopped.
    std::mt19937 random(3);
    int cut_off = 0;
    for (int round = 0; round < 200; ++round) {
        Telemetry telemetry({.group = "test", .max_workers = 2, .instruments = 128, .distributions = 32});
        std::vector<Counter> counters;
        std::vector<Distribution> distributions;
        for (int i = 0; i < 32; ++i) {
            counters.emplace_back(telemetry, "c" + std::to_string(i) + "_total", "");
            distributions.emplace_back(telemetry, "d" + std::to_string(i) + "_bytes", "", "bytes");
        }
        for (unsigned seat : {0u, 2u}) {
            tests::occupy(telemetry, seat, seat + 1);
            telemetry.attach(seat);
            for (auto& counter : counters)
                counter.add(1000);
            for (auto& distribution : distributions)
                for (std::uint64_t value = 1; value < 100'000; value *= 3)
                    distribution.record(value);
        }
        retire_seat(telemetry.segment(), 2);
        const pid_t child = fork();
        if (child == 0) {
            retire_seat(telemetry.segment(), 0);
            _exit(0);
        }
        spin(std::uniform_int_distribution<int>(0, 60'000)(random));
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) ++cut_off;
        // Readers of a dead group do not wait for the fold to end.
        telemetry.segment().header().fold_sequence.store(0);
        SegmentView view(telemetry.segment().descriptor());
        tests::Totals totals(view);
        totals.collect();
        for (int i = 0; i < 32; ++i) {
            QCOMPARE(totals.counter("c" + std::to_string(i) + "_total"), 2000u);
            QCOMPARE(totals.distribution("d" + std::to_string(i) + "_bytes").count(), 22u);
        }
    }
    QVERIFY2(cut_off > 10, "the folds were all too quick to be cut off");
}

void TestRetire::killed_workers_lose_at_most_the_update_in_flight() {
    constexpr int kThreads = 3;
    constexpr std::uint64_t kKills = 2000;
    Telemetry telemetry({.group = "test", .max_workers = 1, .instruments = 16, .distributions = 2});
    Counter letters(telemetry, "letters_total", "");
    Distribution sizes(telemetry, "letter_bytes", "", "bytes");
    Duration naps(telemetry, "nap_seconds", "");
    SegmentView view(telemetry.segment().descriptor());
    tests::Totals ticks(view);
    struct alignas(64) Progress {
        std::atomic<std::uint64_t> records;
    };
    auto* progress = static_cast<Progress*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const auto value = [](std::uint64_t i) { return i % 5000 + 1; };
    const auto work = [&](int thread) {
        for (std::uint64_t i = 1;; ++i) {
            letters.add();
            sizes.record(value(i));
            { const auto timer = naps.time(); }
            progress[thread].records.store(i);
        }
    };
    std::mt19937 random(5);
    std::uint64_t done = 0;
    std::uint64_t sum_of_done = 0;
    std::uint64_t sum_in_flight = 0;
    for (std::uint64_t generation = 1; generation <= kKills; ++generation) {
        tests::occupy(telemetry, 0, generation);
        for (int i = 0; i < kThreads; ++i)
            progress[i].records.store(0);
        const pid_t child = fork();
        if (child == 0) {
            telemetry.attach(0);
            for (int i = 1; i < kThreads; ++i)
                std::thread(work, i).detach();
            work(0);
        }
        while (progress[0].records.load() < 100)
            sched_yield();
        spin(std::uniform_int_distribution<int>(0, 20'000)(random));
        // Ticks that look at the dying, at its fold and at neither: none may see anything twice.
        if (generation % 3 == 0) ticks.collect();
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        if (generation % 5 == 0) ticks.collect();
        for (int i = 0; i < kThreads; ++i) {
            const std::uint64_t records = progress[i].records.load();
            done += records;
            sum_of_done += records / 5000 * (5000 * 5001 / 2);
            for (std::uint64_t n = records / 5000 * 5000; n < records; ++n)
                sum_of_done += value(n + 1);
            sum_in_flight += value(records + 1);
        }
        retire_seat(telemetry.segment(), 0);
    }
    ticks.collect();
    tests::Totals totals(view);
    totals.collect();
    const std::uint64_t most = done + kKills * kThreads;
    for (const tests::Totals* read : {&totals, &ticks}) {
        QVERIFY(read->counter("letters_total") >= done && read->counter("letters_total") <= most);
        const auto recorded = read->distribution("letter_bytes");
        QVERIFY(recorded.count() >= done && recorded.count() <= most);
        QVERIFY(recorded.sum() >= static_cast<double>(sum_of_done));
        QVERIFY(recorded.sum() <= static_cast<double>(sum_of_done + sum_in_flight));
        const std::uint64_t slept = read->distribution("nap_seconds").count();
        QVERIFY(slept >= done && slept <= most);
    }
    QCOMPARE(ticks.counter("letters_total"), totals.counter("letters_total"));
    for (const char* name : {"letter_bytes", "nap_seconds"})
        QCOMPARE(ticks.distribution(name).count(), totals.distribution(name).count());
    munmap(progress, 4096);
}

QTEST_GUILESS_MAIN(TestRetire)
#include "test_retire.moc"
