// A family finds the same instrument for the same values, bounds how many there are, and loses no sample.
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>
#include <barrier>
#include <cstdlib>
#include <new>
#include <thread>

#include "agent/telemetry/retire.hpp"
#include "signalbox/family.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;

namespace {
thread_local std::size_t allocations = 0;
}

void* operator new(std::size_t bytes) {
    ++allocations;
    if (void* const memory = std::malloc(bytes)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

class TestFamily : public QObject {
    Q_OBJECT
private slots:
    void each_combination_has_a_series_of_its_own();
    void the_same_values_give_the_same_instrument();
    void every_instrument_has_families();
    void combinations_beyond_the_limit_are_folded_into_other();
    void the_folded_ones_are_counted_by_how_many_differ();
    void values_that_are_no_label_are_folded_data();
    void values_that_are_no_label_are_folded();
    void values_are_told_apart_wherever_their_borders_are();
    void a_full_directory_folds();
    void a_series_that_another_process_made_is_found_in_a_full_directory();
    void a_known_combination_is_found_without_an_allocation();
    void threads_that_race_for_a_combination_get_one_instrument();
    void threads_that_race_for_the_last_places_stay_within_the_limit();
    void two_processes_record_to_the_same_series();
    void bad_families_are_refused();
};

namespace {

struct Fixture {
    explicit Fixture(unsigned instruments = 1024)
        : telemetry({.group = "test", .max_workers = 2, .instruments = instruments, .distincts = 2}) {
        tests::occupy(telemetry, 0, 1);
        telemetry.attach(0);
    }
    Family<Counter> requests(std::size_t limit = 100) {
        return {telemetry, "requests_total", "Requests", {"path", "status"}, {.limit = limit}};
    }
    std::uint64_t count(const std::string& path, const std::string& status) {
        return totals.counter("requests_total{path=\"" + path + "\",status=\"" + status + "\"}");
    }

    Telemetry telemetry;
    telemetry::SegmentView view{telemetry.segment().descriptor()};
    tests::Totals totals{view};
};

}  // namespace

void TestFamily::each_combination_has_a_series_of_its_own() {
    Fixture f;
    Family<Counter> requests = f.requests();
    requests.with("/letters", "200").add();
    requests.with("/letters", "404").add(2);
    requests.with(std::string("/boxes"), std::string_view("200")).add(3);
    requests.with("/letters", "200").add(4);
    requests.with("", "200").add(5);
    f.totals.collect();
    QCOMPARE(f.count("/letters", "200"), 5u);
    QCOMPARE(f.count("/letters", "404"), 2u);
    QCOMPARE(f.count("/boxes", "200"), 3u);
    QCOMPARE(f.count("", "200"), 5u);
    QCOMPARE(f.count("other", "other"), 0u);
    QCOMPARE(f.totals.distinct("requests_folded"), 0.0);
    QCOMPARE(f.totals.instruments(), 6u);  // with that of all others and how many were folded
}

void TestFamily::the_same_values_give_the_same_instrument() {
    Fixture f;
    Family<Counter> requests = f.requests();
    Family<Counter> copy = requests;
    Counter& one = requests.with("/letters", "200");
    for (int i = 0; i < 90; ++i)
        requests.with(std::to_string(i), "200");
    QCOMPARE(&requests.with("/letters", "200"), &one);
    QCOMPARE(&copy.with("/letters", "200"), &one);
    QVERIFY(&requests.with("/letters", "404") != &one);
}

void TestFamily::every_instrument_has_families() {
    Fixture f;
    Family<Gauge> level(f.telemetry, "level", "", {"box"}, {}, Gauge::Merge::max);
    Family<Distribution> sizes(f.telemetry, "letter_bytes", "", {"box"}, {}, std::string_view("bytes"), 1);
    Family<SignedDistribution> errors(f.telemetry, "error_seconds", "", {"box"}, {}, "seconds", 1e9);
    Family<Duration> times(f.telemetry, "time_seconds", "", {"box"});
    Family<Interval> gaps(f.telemetry, "gap_seconds", "", {"box"}, {.limit = 3});
    level.with("a").set(3);
    sizes.with("a").record(100);
    errors.with("a").record(-5);
    { auto timer = times.with("a").time(); }
    gaps.with("a").tick();
    gaps.with("a").tick();
    f.totals.collect();
    QCOMPARE(f.totals.gauge("level{box=\"a\"}"), 3.0);
    QCOMPARE(f.totals.distribution("letter_bytes{box=\"a\"}").sum(), 100.0);
    QCOMPARE(f.totals.distribution("error_seconds{box=\"a\"}").count(), 1u);
    QCOMPARE(f.totals.distribution("time_seconds{box=\"a\"}").count(), 1u);
    QCOMPARE(f.totals.distribution("gap_seconds{box=\"a\"}").count(), 1u);
}

void TestFamily::combinations_beyond_the_limit_are_folded_into_other() {
    Fixture f;
    Family<Counter> requests = f.requests(10);
    for (int round = 0; round < 3; ++round)
        for (int i = 0; i < 25; ++i)
            requests.with("/" + std::to_string(i), "200").add();
    f.totals.collect();
    for (int i = 0; i < 25; ++i)
        QCOMPARE(f.count("/" + std::to_string(i), "200"), i < 10 ? 3u : 0u);
    QCOMPARE(f.count("other", "other"), 45u);
    QCOMPARE(std::round(f.totals.distinct("requests_folded")), 15.0);
    QCOMPARE(f.totals.instruments(), 12u);
}

void TestFamily::the_folded_ones_are_counted_by_how_many_differ() {
    Fixture f;
    Family<Counter> requests = f.requests(1);
    requests.with("/", "200").add();
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 20'000; ++i)
            requests.with(std::to_string(i), i % 2 == 0 ? "200" : "500").add();
    f.totals.collect();
    QCOMPARE(f.count("other", "other"), 40'000u);
    const double folded = f.totals.distinct("requests_folded");
    QVERIFY2(std::abs(folded - 20'000) < 4 * 0.024 * 20'000, qPrintable(QString::number(folded)));
}

void TestFamily::values_that_are_no_label_are_folded_data() {
    QTest::addColumn<QByteArray>("path");
    QTest::addColumn<bool>("folded");
    // path= and status=200, each with a line end, leave 149 of 167 bytes.
    QTest::newRow("as long as fits") << QByteArray(150, 'x') << false;
    QTest::newRow("longer") << QByteArray(151, 'x') << true;
    QTest::newRow("much longer") << QByteArray(100'000, 'x') << true;
    QTest::newRow("two lines") << QByteArray("a\nb") << true;
    QTest::newRow("a tab") << QByteArray("a\tb") << true;
    QTest::newRow("a zero byte") << QByteArray("a\0b", 3) << true;
    QTest::newRow("not UTF-8") << QByteArray("caf\xe9") << true;
    QTest::newRow("UTF-8") << QByteArray("caf\xc3\xa9") << false;
    QTest::newRow("quotes and backslashes") << QByteArray("\"\\=,{}") << false;
}

void TestFamily::values_that_are_no_label_are_folded() {
    QFETCH(QByteArray, path);
    QFETCH(bool, folded);
    Fixture f;
    Family<Counter> requests = f.requests();
    for (int i = 0; i < 2; ++i)
        requests.with(path.toStdString(), "200").add();
    f.totals.collect();
    QCOMPARE(f.count("other", "other"), folded ? 2u : 0u);
    QCOMPARE(f.count(path.toStdString(), "200"), folded ? 0u : 2u);
    QCOMPARE(std::round(f.totals.distinct("requests_folded")), folded ? 1.0 : 0.0);
}

void TestFamily::values_are_told_apart_wherever_their_borders_are() {
    Fixture f;
    Family<Counter> requests = f.requests();
    requests.with("ab", "c").add(1);
    requests.with("a", "bc").add(2);
    requests.with("abc", "").add(4);
    requests.with("", "abc").add(8);
    requests.with("a\nbc", "").add(16);
    f.totals.collect();
    QCOMPARE(f.count("ab", "c"), 1u);
    QCOMPARE(f.count("a", "bc"), 2u);
    QCOMPARE(f.count("abc", ""), 4u);
    QCOMPARE(f.count("", "abc"), 8u);
    QCOMPARE(f.count("other", "other"), 16u);
}

void TestFamily::a_full_directory_folds() {
    Fixture f(6);  // that of all others, how many were folded, and four more
    Family<Counter> requests = f.requests(100);
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 10; ++i)
            requests.with(std::to_string(i), "200").add();
    f.totals.collect();
    for (int i = 0; i < 4; ++i)
        QCOMPARE(f.count(std::to_string(i), "200"), 2u);
    QCOMPARE(f.count("other", "other"), 12u);
    QCOMPARE(std::round(f.totals.distinct("requests_folded")), 6.0);
}

void TestFamily::a_series_that_another_process_made_is_found_in_a_full_directory() {
    Fixture f(3);
    Family<Counter> requests = f.requests();
    const Counter theirs(f.telemetry, "requests_total", "Requests", {{"path", "/"}, {"status", "200"}});
    requests.with("/new", "200").add();
    requests.with("/", "200").add();
    f.totals.collect();
    QCOMPARE(f.count("/", "200"), 1u);
    QCOMPARE(f.count("other", "other"), 1u);
}

void TestFamily::a_known_combination_is_found_without_an_allocation() {
    Fixture f;
    Family<Counter> requests = f.requests(1);
    requests.with("/letters", "200").add();
    requests.with("/folded", "200").add();
    const std::size_t before = allocations;
    for (int i = 0; i < 100; ++i) {
        requests.with("/letters", "200").add();
        requests.with("/folded", "200").add();
        requests.with("/another", "200").add();
        requests.with("two\nlines", "200").add();
    }
    QCOMPARE(allocations, before);
}

void TestFamily::threads_that_race_for_a_combination_get_one_instrument() {
    Fixture f;
    Family<Counter> requests = f.requests(64);
    constexpr std::size_t kThreads = 8;
    constexpr int kCombinations = 50;
    std::barrier all_at_once(kThreads);
    std::vector<std::vector<Counter*>> found(kThreads);
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread)
        threads.emplace_back([&, thread] {
            for (int i = 0; i < kCombinations; ++i) {
                const std::string path = "/" + std::to_string(i);
                all_at_once.arrive_and_wait();
                Counter& counter = requests.with(path, "200");
                counter.add();
                found[thread].push_back(&counter);
            }
            for (int i = 0; i < 20 * kCombinations; ++i)
                requests.with("/" + std::to_string(i % kCombinations), "200").add();
        });
    for (auto& thread : threads)
        thread.join();
    for (const auto& one : found)
        QVERIFY(one == found.front());
    f.totals.collect();
    for (int i = 0; i < kCombinations; ++i)
        QCOMPARE(f.count("/" + std::to_string(i), "200"), 21u * kThreads);
    QCOMPARE(f.totals.instruments(), kCombinations + 2u);
}

void TestFamily::threads_that_race_for_the_last_places_stay_within_the_limit() {
    Fixture f;
    constexpr std::uint64_t kThreads = 8;
    constexpr std::uint64_t kLimit = 10;
    constexpr std::uint64_t kCombinations = 40;
    Family<Counter> requests = f.requests(kLimit);
    std::barrier all_at_once(kThreads);
    std::vector<std::thread> threads;
    for (std::uint64_t thread = 0; thread < kThreads; ++thread)
        threads.emplace_back([&, thread] {
            all_at_once.arrive_and_wait();
            for (std::uint64_t i = 0; i < kCombinations; ++i)
                requests.with(std::to_string((i + thread * 5) % kCombinations), "200").add();
        });
    for (auto& thread : threads)
        thread.join();
    f.totals.collect();
    std::uint64_t apart = 0;
    std::uint64_t series = 0;
    for (std::uint64_t i = 0; i < kCombinations; ++i) {
        const std::uint64_t count = f.count(std::to_string(i), "200");
        apart += count;
        if (count > 0) ++series;
    }
    QCOMPARE(series, kLimit);
    QCOMPARE(f.totals.instruments(), kLimit + 2u);
    QCOMPARE(apart + f.count("other", "other"), kThreads * kCombinations);
    QCOMPARE(std::round(f.totals.distinct("requests_folded")), double(kCombinations - kLimit));
}

void TestFamily::two_processes_record_to_the_same_series() {
    Fixture f;
    Family<Counter> requests = f.requests(2);
    const pid_t child = fork();
    if (child == 0) {
        tests::occupy(f.telemetry, 2, 2);
        f.telemetry.attach(2);
        for (const char* path : {"/a", "/b", "/c", "/d"})
            requests.with(path, "200").add();
        _exit(0);
    }
    for (const char* path : {"/b", "/c", "/d", "/a"})
        requests.with(path, "200").add(10);
    int status = -1;
    waitpid(child, &status, 0);
    QCOMPARE(status, 0);
    f.totals.collect();
    // The child has room for a and b, this process for b and c; both fold d.
    QCOMPARE(f.count("/a", "200"), 1u);
    QCOMPARE(f.count("/b", "200"), 11u);
    QCOMPARE(f.count("/c", "200"), 10u);
    QCOMPARE(f.count("/d", "200"), 0u);
    QCOMPARE(f.count("other", "other"), 22u);
    QCOMPARE(std::round(f.totals.distinct("requests_folded")), 3.0);
    QCOMPARE(f.totals.instruments(), 5u);
    telemetry::retire_seat(f.telemetry.segment(), 2);
    f.totals.collect();
    QCOMPARE(f.count("/b", "200"), 11u);
}

void TestFamily::bad_families_are_refused() {
    Fixture f;
    const auto message = [&](const std::vector<std::string>& labels, std::size_t limit) {
        try {
            Family<Counter>(f.telemetry, "refused_total", "", labels, {.limit = limit});
        } catch (const std::invalid_argument& error) {
            return std::string(error.what());
        }
        return std::string("accepted");
    };
    QVERIFY(message({}, 10).find("refused_total: no labels") != std::string::npos);
    QVERIFY(message({"path"}, 0).find("limit 0") != std::string::npos);
    QVERIFY(message({"path"}, 65537).find("limit 65537") != std::string::npos);
    QVERIFY(message({"a-b"}, 10).find("a-b") != std::string::npos);
    QVERIFY(message({std::string(170, 'x')}, 10).find("label set") != std::string::npos);
    f.totals.collect();
    QCOMPARE(f.totals.instruments(), 0u);
    QCOMPARE(message({"path"}, 10), std::string("accepted"));
}

QTEST_GUILESS_MAIN(TestFamily)
#include "test_family.moc"
