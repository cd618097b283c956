#include <QTest>
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "common/sketch/exponential_histogram.hpp"

using namespace signalbox::sketch;

namespace {

using Values = std::vector<double>;
using Random = std::mt19937_64;

constexpr std::uint64_t kSeed = 20260707;

/// Multiples of 1/64, zeros among them, so that sums are exact in any order and histograms can be compared
/// whole.
Values random_values(Random& random, std::size_t count) {
    std::uniform_real_distribution<double> exponent(-6, 24);
    Values values(count);
    for (double& value : values)
        value = std::floor(std::exp2(exponent(random)) * 64) / 64;
    return values;
}

ExponentialHistogram recorded(const Values& values, int scale = kFinestScale) {
    ExponentialHistogram histogram(scale);
    for (const double value : values)
        histogram.record(value);
    return histogram;
}

ExponentialHistogram merged(ExponentialHistogram left, const ExponentialHistogram& right) {
    left.merge(right);
    return left;
}

double nearest_rank(const Values& sorted, double q) {
    const auto rank = std::max(1.0, std::ceil(q * static_cast<double>(sorted.size())));
    return sorted[static_cast<std::size_t>(rank) - 1];
}

}  // namespace

class TestExponentialHistogram : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void an_empty_one_knows_nothing() {
        const ExponentialHistogram empty;
        QVERIFY(empty.empty());
        QVERIFY(!empty.mean() && !empty.min() && !empty.max() && !empty.quantile(0.5));
        QCOMPARE(empty.count_up_to(1e9), std::uint64_t{0});
    }

    void zeros_and_negative_values_count_as_zero() {
        const ExponentialHistogram zeros = recorded({0.0, -0.0, -5.0});
        QCOMPARE(zeros.zeros(), std::uint64_t{3});
        QCOMPARE(zeros.quantile(1), 0.0);
        QCOMPARE(zeros.min(), 0.0);
        QCOMPARE(zeros.max(), 0.0);
        QCOMPARE(zeros.sum(), 0.0);
        QVERIFY(zeros.buckets().empty());
    }

    void nothing_is_recorded_for_nan_or_zero_times() {
        ExponentialHistogram histogram;
        histogram.record(NAN);
        histogram.record(1.0, 0);
        QVERIFY(histogram == ExponentialHistogram());
    }

    void values_beyond_the_range_go_to_the_outermost_buckets() {
        const ExponentialHistogram histogram = recorded({1e-300, 1e300, INFINITY, 5e-324});
        QCOMPARE(histogram.count(), std::uint64_t{4});
        QCOMPARE(histogram.first_bucket(), kFirstBucket);
        QCOMPARE(histogram.buckets().size(), kBucketCount);
        QCOMPARE(histogram.buckets().front(), std::uint64_t{2});
        QCOMPARE(histogram.buckets().back(), std::uint64_t{2});
    }

    void merging_is_commutative_associative_and_the_same_as_recording_everything_at_once() {
        Random random(kSeed);
        for (int round = 0; round < 200; ++round) {
            const Values a = random_values(random, random() % 50);
            const Values b = random_values(random, random() % 50);
            const Values c = random_values(random, random() % 50);
            Values all = a;
            all.insert(all.end(), b.begin(), b.end());
            all.insert(all.end(), c.begin(), c.end());
            const auto ha = recorded(a), hb = recorded(b), hc = recorded(c);
            QVERIFY(merged(ha, hb) == merged(hb, ha));
            QVERIFY(merged(merged(ha, hb), hc) == merged(ha, merged(hb, hc)));
            QVERIFY(merged(merged(ha, hb), hc) == recorded(all));
        }
    }

    void merging_with_an_empty_one_changes_nothing() {
        const ExponentialHistogram some = recorded({1, 2, 3});
        QVERIFY(merged(some, ExponentialHistogram()) == some);
        QVERIFY(merged(ExponentialHistogram(), some) == some);
    }

    void merging_scales_gives_the_coarser_as_if_all_had_been_recorded_in_it() {
        Random random(kSeed);
        for (int round = 0; round < 200; ++round) {
            const int left = static_cast<int>(random() % 10) + kCoarsestScale;
            const int right = static_cast<int>(random() % 10) + kCoarsestScale;
            const Values a = random_values(random, random() % 50 + 1);
            const Values b = random_values(random, random() % 50 + 1);
            Values both = a;
            both.insert(both.end(), b.begin(), b.end());
            QVERIFY(merged(recorded(a, left), recorded(b, right)) == recorded(both, std::min(left, right)));
        }
    }

    void reducing_is_the_same_as_recording_at_the_coarser_scale() {
        Random random(kSeed);
        const Values values = random_values(random, 2000);
        for (int scale = kCoarsestScale; scale <= kFinestScale; ++scale) {
            QVERIFY(recorded(values).reduced_to(scale) == recorded(values, scale));
            QVERIFY(recorded(values, scale).reduced_to(kFinestScale) == recorded(values, scale));
        }
        QVERIFY(recorded(values).reduced_to(5).reduced_to(1) == recorded(values).reduced_to(1));
    }

    void quantiles_are_within_the_stated_error_data() {
        QTest::addColumn<int>("shape");
        QTest::newRow("uniform") << 0;
        QTest::newRow("exponential") << 1;
        QTest::newRow("log-normal") << 2;
        QTest::newRow("two far peaks") << 3;
        QTest::newRow("a third zeros") << 4;
        QTest::newRow("constant") << 5;
        QTest::newRow("heavy tail") << 6;
    }
    void quantiles_are_within_the_stated_error() {
        QFETCH(int, shape);
        Random random(kSeed);
        std::uniform_real_distribution<double> uniform(0.0001, 1);
        const auto draw = [&]() -> double {
            switch (shape) {
                case 0:
                    return uniform(random);
                case 1:
                    return std::exponential_distribution<double>(1000)(random);
                case 2:
                    return std::lognormal_distribution<double>(-5, 2)(random);
                case 3:
                    return random() % 10 == 0 ? 3 + uniform(random) : 1e-5 * uniform(random);
                case 4:
                    return random() % 3 == 0 ? 0 : uniform(random);
                case 5:
                    return 0.0123;
                default:
                    return std::min(1e9, std::pow(uniform(random), -1.2));
            }
        };
        Values values(20000);
        std::generate(values.begin(), values.end(), draw);
        const ExponentialHistogram finest = recorded(values);
        std::sort(values.begin(), values.end());
        for (const int scale : {7, 5, 2, 0, -2}) {
            const ExponentialHistogram histogram = finest.reduced_to(scale);
            for (const double q : {0.0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
                const double exact = nearest_rank(values, q);
                const double error = std::abs(histogram.quantile(q).value() - exact);
                QVERIFY2(error <= exact * histogram.relative_error() * (1 + 1e-9),
                         qPrintable(QString("scale %1, q %2").arg(scale).arg(q)));
            }
        }
    }

    void extremes_are_exact_where_known_and_else_those_of_the_outermost_buckets() {
        const ExponentialHistogram exact = recorded({0.003, 1.7});
        QCOMPARE(exact.min(), 0.003);
        QCOMPARE(exact.max(), 1.7);

        ExponentialHistogram received;
        received.add_to_bucket(bucket_index(0.003), 1);
        received.add_to_bucket(bucket_index(1.7), 1);
        QVERIFY(std::abs(received.min().value() / 0.003 - 1) <= received.relative_error());
        QVERIFY(std::abs(received.max().value() / 1.7 - 1) <= received.relative_error());

        // Who does not know all extremes does not know any.
        QVERIFY(merged(exact, received).min() != exact.min());
        QVERIFY(merged(received, exact).min() != exact.min());
    }

    void counts_up_to_a_bound_are_exact() {
        Random random(kSeed);
        const Values values = random_values(random, 3000);
        const ExponentialHistogram histogram = recorded(values);
        for (int exponent = -6; exponent <= 24; ++exponent) {
            const double bound = std::ldexp(1.0, exponent);
            const auto exact =
                std::count_if(values.begin(), values.end(), [bound](double value) { return value <= bound; });
            QCOMPARE(histogram.count_up_to(bound), static_cast<std::uint64_t>(exact));
        }
        QCOMPARE(histogram.count_up_to(0), histogram.zeros());
        QCOMPARE(histogram.count_up_to(-1), std::uint64_t{0});
        QCOMPARE(histogram.count_up_to(INFINITY), histogram.count());
    }

    void count_sum_and_mean_are_those_of_the_values() {
        Random random(kSeed);
        const Values values = random_values(random, 1000);
        const ExponentialHistogram histogram = recorded(values);
        const double sum = std::accumulate(values.begin(), values.end(), 0.0);
        QCOMPARE(histogram.count(), std::uint64_t{1000});
        QCOMPARE(histogram.sum(), sum);
        QCOMPARE(histogram.mean(), sum / 1000);
    }
};

QTEST_GUILESS_MAIN(TestExponentialHistogram)
#include "test_exponential_histogram.moc"
