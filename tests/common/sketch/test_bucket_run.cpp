// Whatever is done to it, a run counts what a map counts.
#include <QTest>
#include <map>
#include <random>

#include "common/sketch/bucket_run.hpp"

using namespace signalbox::sketch;

namespace {

using Random = std::mt19937_64;
using Counts = std::map<int, std::uint64_t>;

Counts counts_of(const BucketRun& run) {
    Counts counts;
    run.with_counts([&](const auto& all) {
        for (std::size_t i = 0; i < all.size(); ++i)
            if (all[i] > 0) counts[run.first() + static_cast<int>(i)] = all[i];
    });
    return counts;
}

BucketRun run_of(const Counts& counts) {
    BucketRun run;
    for (const auto& [index, count] : counts)
        run.add(index, count);
    return run;
}

/// Mostly small, sometimes at the edge of a width.
std::uint64_t random_count(Random& random) {
    const unsigned bits = std::array{3u, 7u, 8u, 15u, 16u, 31u, 32u, 40u}[random() % 8];
    return (std::uint64_t{1} << bits) - 2 + random() % 4;
}

Counts random_counts(Random& random) {
    Counts counts;
    const int first = static_cast<int>(random() % 200) - 100;
    for (std::uint64_t i = random() % 30; i > 0; --i)
        counts[first + static_cast<int>(random() % 60)] = random() % 3 == 0 ? random_count(random) : 1;
    return counts;
}

/// Growth as it is defined.
Counts grown(const Counts& before, const Counts& now) {
    Counts growth;
    for (const auto& [index, count] : now) {
        const auto found = before.find(index);
        const std::uint64_t earlier = found == before.end() ? 0 : found->second;
        if (count > earlier) growth[index] = count - earlier;
    }
    return growth;
}

}  // namespace

class TestBucketRun : public QObject {
    Q_OBJECT
private slots:
    void runs_add_up_at_any_scale_and_width() {
        Random random(1);
        for (int round = 0; round < 5000; ++round) {
            const Counts a = random_counts(random);
            const Counts b = random_counts(random);
            const int shift = static_cast<int>(random() % 4);
            BucketRun run = run_of(a);
            run.add(run_of(b), shift);
            Counts expected = a;
            for (const auto& [index, count] : b)
                expected[index >> shift] += count;
            QVERIFY(counts_of(run) == expected);
            QVERIFY(run == run_of(expected));
            std::uint64_t total = 0;
            for (const auto& [index, count] : expected) {
                total += count;
                QCOMPARE(run.count(index), count);
                QCOMPARE(run.count_up_to(index), total);
            }
            QCOMPARE(run.total(), total);
        }
    }

    void a_run_can_be_added_to_itself() {
        BucketRun run = run_of({{-3, 200}, {7, 1}});
        run.add(run, 0);
        QVERIFY(run == run_of({{-3, 400}, {7, 2}}));
    }

    void what_was_added_can_be_taken_away() {
        Random random(2);
        for (int round = 0; round < 2000; ++round) {
            const BucketRun rest = run_of(random_counts(random));
            const BucketRun part = run_of(random_counts(random));
            BucketRun all = rest;
            all.add(part, 0);
            all.subtract(part);
            QVERIFY(all == rest);
            all.subtract(rest);
            all.subtract(part);
            QVERIFY(all.empty());
        }
    }

    void advancing_returns_the_growth_whatever_grew_or_fell() {
        Random random(3);
        for (int round = 0; round < 5000; ++round) {
            BucketRun seen;
            Counts before;
            for (int step = 0; step < 4; ++step) {
                Counts now = random() % 4 == 0 ? random_counts(random) : before;
                for (const auto& [index, count] : random_counts(random))
                    now[index] += count;
                const int first = now.empty() ? 0 : now.begin()->first - static_cast<int>(random() % 5);
                const int last = now.empty() ? 3 : now.rbegin()->first + static_cast<int>(random() % 5);
                std::vector<std::uint64_t> wide;
                for (int index = first; index <= last; ++index)
                    wide.push_back(now.contains(index) ? now[index] : 0);
                const bool narrow = std::all_of(wide.begin(), wide.end(),
                                                [](std::uint64_t count) { return count <= UINT32_MAX; });
                const BucketRun growth =
                    narrow ? seen.advance_to(first, std::vector<std::uint32_t>(wide.begin(), wide.end()))
                           : seen.advance_to(first, wide);
                QVERIFY(growth == run_of(grown(before, now)));
                QVERIFY(seen == run_of(now));
                before = now;
            }
        }
    }

    void more_buckets_than_the_finest_scale_has_are_as_good() {
        BucketRun seen;
        const std::vector<std::uint32_t> many(10'000, 3);
        QCOMPARE(seen.advance_to(-5000, many).total(), std::uint64_t{30'000});
        QVERIFY(seen.advance_to(-5000, many).empty());
    }
};

QTEST_GUILESS_MAIN(TestBucketRun)
#include "test_bucket_run.moc"
