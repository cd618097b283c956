// A group that takes over shows what the one before it has counted, while that counts on, and when it has ended.
#include <fcntl.h>
#include <unistd.h>

#include <QtTest>

#include "agent/telemetry/inherited_totals.hpp"
#include "agent/telemetry/retire.hpp"
#include "agent/telemetry/verify.hpp"
#include "signalbox/distinct.hpp"
#include "signalbox/family.hpp"
#include "signalbox/heavy_hitters.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;

class TestInheritedTotals : public QObject {
    Q_OBJECT
private slots:
    void what_the_old_workers_still_count_is_added();
    void every_kind_of_instrument_comes_over();
    void it_goes_on_through_a_chain_of_groups();
    void a_worker_that_is_folded_meanwhile_counts_once();
    void an_old_group_that_was_killed_in_a_fold_is_read_in_the_end();
    void an_instrument_of_another_kind_stays_behind();
    void what_is_no_segment_is_refused();
};

namespace {

/// A group of one worker, whose arbiter is this process.
struct Side {
    explicit Side(const char* other = nullptr)
        : telemetry({.group = "test", .max_workers = 2, .instruments = 256, .distributions = 16}),
          view(telemetry.segment().descriptor()),
          totals(view) {
        if (other) Gauge gauge(telemetry, other, "");  // so that offsets are not those of the other side
        Segment& segment = telemetry.segment();
        segment.seat(segment.arbiter_seat())->pid.store(static_cast<std::uint32_t>(getpid()));
        tests::occupy(telemetry, 0, 1);
    }
    void be_worker() { telemetry.attach(0); }

    Telemetry telemetry;
    SegmentView view;
    tests::Totals totals;
};

}  // namespace

void TestInheritedTotals::what_the_old_workers_still_count_is_added() {
    Side old;
    Side fresh("padding");
    Counter before(old.telemetry, "letters_total", "");
    Counter after(fresh.telemetry, "letters_total", "");
    old.be_worker();
    before.add(3);
    InheritedTotals inherited(fresh.telemetry.segment(), old.telemetry.segment().descriptor());
    inherited.advance();
    fresh.be_worker();
    after.add(10);
    fresh.totals.collect();
    QCOMPARE(fresh.totals.counter("letters_total"), 13u);
    old.be_worker();
    before.add(4);
    inherited.advance();
    inherited.advance();  // nothing is new
    fresh.totals.collect();
    QCOMPARE(fresh.totals.counter("letters_total"), 17u);
    before.add(1);
    retire_seat(old.telemetry.segment(), 0);
    inherited.finish();
    fresh.totals.collect();
    QCOMPARE(fresh.totals.counter("letters_total"), 18u);
}

void TestInheritedTotals::every_kind_of_instrument_comes_over() {
    Side old;
    Side fresh("padding");
    const auto record = [](Side& side, double factor) {
        Distribution sizes(side.telemetry, "sizes_bytes", "", "bytes");
        SignedDistribution errors(side.telemetry, "errors_bytes", "", "bytes");
        Family<Counter> family(side.telemetry, "answers_total", "", {"code"});
        Distinct clients(side.telemetry, "clients", "");
        HeavyHitters paths(side.telemetry, "paths", "");
        side.be_worker();
        for (int i = 1; i <= 1000; ++i) {
            sizes.record(i * factor);
            errors.record((i - 500) * factor);
            clients.add(std::to_string(i * factor));
        }
        family.with(factor > 1 ? "late" : "early").add(7);
        paths.add("/often", 5);
        paths.add(factor > 1 ? "/late" : "/early");
    };
    record(old, 1);
    record(fresh, 3);
    InheritedTotals inherited(fresh.telemetry.segment(), old.telemetry.segment().descriptor());
    inherited.advance();
    inherited.finish();
    QVERIFY(inherited.take_obstacles().empty());
    fresh.totals.collect();
    old.totals.collect();

    const auto sizes = fresh.totals.distribution("sizes_bytes");
    QCOMPARE(sizes.count(), 2000u);
    QCOMPARE(sizes.sum(), 4.0 * 500'500);
    QCOMPARE(sizes.min(), 1.0);
    QCOMPARE(sizes.max(), 3000.0);
    auto expected = old.totals.distribution("errors_bytes");
    const auto errors = fresh.totals.distribution("errors_bytes");
    QCOMPARE(errors.count(), 2000u);
    QCOMPARE(errors.zeros(), 2u);
    QVERIFY(std::abs(errors.sum() - 4 * expected.sum()) < 1e-9);
    QCOMPARE(errors.negative_buckets().total(), 2 * expected.negative_buckets().total());
    QCOMPARE(fresh.totals.counter("answers_total{code=\"early\"}"), 7u);
    QCOMPARE(fresh.totals.counter("answers_total{code=\"late\"}"), 7u);
    // A third of the old ones are among the new.
    const double distinct = fresh.totals.distinct("clients");
    QVERIFY2(distinct > 1'600 && distinct < 1'740, qPrintable(QString::number(distinct)));
    bool found = false;
    for (const auto& series : fresh.totals.collector().absolute().series)
        for (const auto& sample : series.samples)
            if (const auto* keys = std::get_if<wire::TopKeys>(&sample.value)) {
                QCOMPARE(keys->total, 12u);
                QCOMPARE(keys->entries.at(0).key, std::string("/often"));
                QCOMPARE(keys->entries.at(0).count, 10u);
                QCOMPARE(keys->entries.size(), 3u);
                found = true;
            }
    QVERIFY(found);
    const auto violations = verify(fresh.view, Writers::busy);
    QVERIFY2(violations.empty(), violations.empty() ? "" : violations.front().c_str());
}

void TestInheritedTotals::it_goes_on_through_a_chain_of_groups() {
    std::vector<std::unique_ptr<Side>> groups;
    for (std::uint64_t i = 0; i < 5; ++i) {
        groups.push_back(std::make_unique<Side>());
        Side& group = *groups.back();
        Counter letters(group.telemetry, "letters_total", "");
        Distribution sizes(group.telemetry, "sizes_bytes", "", "bytes");
        group.be_worker();
        letters.add(100);
        sizes.record(static_cast<double>(i + 1));
        if (i == 0) continue;
        InheritedTotals inherited(group.telemetry.segment(), groups[i - 1]->telemetry.segment().descriptor());
        inherited.advance();
        inherited.finish();
        group.totals.collect();
        QCOMPARE(group.totals.counter("letters_total"), 100 * (i + 1));
        QCOMPARE(group.totals.distribution("sizes_bytes").count(), i + 1);
    }
}

void TestInheritedTotals::a_worker_that_is_folded_meanwhile_counts_once() {
    Side old;
    Side fresh;
    Counter letters(old.telemetry, "letters_total", "");
    InheritedTotals inherited(fresh.telemetry.segment(), old.telemetry.segment().descriptor());
    for (std::uint64_t generation = 1; generation <= 20; ++generation) {
        old.be_worker();
        letters.add(5);
        if (generation % 3 != 0) inherited.advance();
        letters.add(5);
        retire_seat(old.telemetry.segment(), 0);
        tests::occupy(old.telemetry, 0, generation + 1);
        if (generation % 2 != 0) inherited.advance();
        fresh.totals.collect();
        if (generation % 2 != 0) QCOMPARE(fresh.totals.counter("letters_total"), 10 * generation);
    }
}

void TestInheritedTotals::an_old_group_that_was_killed_in_a_fold_is_read_in_the_end() {
    Side old;
    Side fresh;
    Counter letters(old.telemetry, "letters_total", "");
    old.be_worker();
    letters.add(5);
    InheritedTotals inherited(fresh.telemetry.segment(), old.telemetry.segment().descriptor());
    inherited.advance();
    letters.add(2);
    old.telemetry.segment().header().fold_sequence.store(1);
    inherited.advance();  // does not wait for somebody who is dead
    inherited.finish();
    fresh.totals.collect();
    QCOMPARE(fresh.totals.counter("letters_total"), 7u);
}

void TestInheritedTotals::an_instrument_of_another_kind_stays_behind() {
    Side old;
    Side fresh;
    Counter letters(old.telemetry, "letters_total", "");
    Distribution size(old.telemetry, "size", "", "bytes");
    Distribution now_in_seconds(fresh.telemetry, "size", "", "seconds");
    old.be_worker();
    letters.add(2);
    size.record(1);
    InheritedTotals inherited(fresh.telemetry.segment(), old.telemetry.segment().descriptor());
    inherited.advance();
    inherited.advance();
    const auto obstacles = inherited.take_obstacles();
    QCOMPARE(obstacles.size(), 1u);
    QVERIFY2(obstacles[0].find("instrument size is registered already, as in seconds") == 0,
             obstacles[0].c_str());
    fresh.totals.collect();
    QCOMPARE(fresh.totals.counter("letters_total"), 2u);
    QCOMPARE(fresh.totals.distribution("size").count(), 0u);
}

void TestInheritedTotals::what_is_no_segment_is_refused() {
    Side fresh;
    const int file = ::open("/dev/null", O_RDONLY);
    QVERIFY_EXCEPTION_THROWN(InheritedTotals(fresh.telemetry.segment(), file), SegmentError);
    ::close(file);
}

QTEST_GUILESS_MAIN(TestInheritedTotals)
#include "test_inherited_totals.moc"
