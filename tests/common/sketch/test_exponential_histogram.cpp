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

/// Multiples of 1/64, zeros and negative ones among them, so that sums are exact in any order and histograms
/// can be compared whole.
Values random_values(Random& random, std::size_t count) {
    std::uniform_real_distribution<double> exponent(-6, 24);
    Values values(count);
    for (double& value : values)
        value = std::floor(std::exp2(exponent(random)) * 64) / (random() % 3 == 0 ? -64 : 64);
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

Values sorted(Values values) {
    std::sort(values.begin(), values.end());
    return values;
}

std::uint64_t count_up_to(const Values& values, double bound) {
    return static_cast<std::uint64_t>(
        std::count_if(values.begin(), values.end(), [bound](double value) { return value <= bound; }));
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

    void zeros_have_no_bucket() {
        const ExponentialHistogram zeros = recorded({0.0, -0.0});
        QCOMPARE(zeros.zeros(), std::uint64_t{2});
        QCOMPARE(zeros.quantile(1), 0.0);
        QCOMPARE(zeros.min(), 0.0);
        QCOMPARE(zeros.max(), 0.0);
        QCOMPARE(zeros.sum(), 0.0);
        QVERIFY(zeros.buckets().empty() && zeros.negative_buckets().empty());
    }

    void negative_values_are_the_mirror_of_positive_ones() {
        const ExponentialHistogram above = recorded({0.25, 3, 3, 100});
        const ExponentialHistogram below = recorded({-0.25, -3, -3, -100});
        QCOMPARE(below.negative_buckets(), above.buckets());
        QCOMPARE(below.first_negative_bucket(), above.first_bucket());
        QVERIFY(below.buckets().empty());
        QCOMPARE(below.sum(), -above.sum());
        QCOMPARE(below.min(), -100.0);
        QCOMPARE(below.max(), -0.25);
        QCOMPARE(below.quantile(0.5), -above.quantile(0.75).value());
        QCOMPARE(below.quantile(0.0), -above.quantile(1.0).value());
    }

    void nothing_is_recorded_zero_times() {
        ExponentialHistogram histogram;
        for (const double value : {1.0, 0.0, -1.0, double(NAN), double(INFINITY)})
            histogram.record(value, 0);
        QVERIFY(histogram == ExponentialHistogram());
    }

    void what_is_no_finite_number_is_counted_apart() {
        ExponentialHistogram histogram = recorded({1, 2, 3});
        const std::optional<double> median = histogram.quantile(0.5);
        histogram.record(NAN, 4);
        histogram.record(INFINITY, 5);
        histogram.record(-INFINITY, 6);
        QCOMPARE(histogram.count(), std::uint64_t{3});
        QCOMPARE(histogram.sum(), 6.0);
        QCOMPARE(histogram.min(), 1.0);
        QCOMPARE(histogram.max(), 3.0);
        QCOMPARE(histogram.quantile(0.5), median);

        ExponentialHistogram other = recorded({NAN, INFINITY, -INFINITY}, 3);
        QVERIFY(other.empty());
        other.merge(histogram);
        histogram.merge(recorded({NAN, INFINITY, -INFINITY}, 3));
        QCOMPARE(histogram.scale(), kFinestScale);  // there was nothing to reduce
        for (const auto& both : {histogram, histogram.reduced_to(0), other}) {
            QCOMPARE(both.nans(), std::uint64_t{5});
            QCOMPARE(both.positive_infinities(), std::uint64_t{6});
            QCOMPARE(both.negative_infinities(), std::uint64_t{7});
        }
    }

    void values_beyond_the_range_go_to_the_outermost_buckets() {
        const ExponentialHistogram histogram = recorded({1e-300, 1e300, 5e-324, -1e300, -1e-12, 1});
        QCOMPARE(histogram.count(), std::uint64_t{6});
        QCOMPARE(histogram.first_bucket(), kFirstBucket);
        QCOMPARE(histogram.buckets().size(), kBucketCount);
        QCOMPARE(histogram.buckets().front(), std::uint64_t{2});
        QCOMPARE(histogram.buckets().back(), std::uint64_t{1});
        QCOMPARE(histogram.negative_buckets().front(), std::uint64_t{1});
        QCOMPARE(histogram.negative_buckets().back(), std::uint64_t{1});
        QCOMPARE(histogram.underflow(), std::uint64_t{3});
        QCOMPARE(histogram.overflow(), std::uint64_t{2});
        QCOMPARE(merged(histogram, histogram.reduced_to(1)).underflow(), std::uint64_t{6});
        QCOMPARE(merged(histogram, histogram.reduced_to(1)).overflow(), std::uint64_t{4});
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
        QTest::newRow("below zero") << 7;
        QTest::newRow("around zero") << 8;
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
                case 6:
                    return std::min(1e9, std::pow(uniform(random), -1.2));
                case 7:
                    return -std::exponential_distribution<double>(1000)(random) - 1e-6;
                default:
                    return std::normal_distribution<double>(0.5, 1)(random);
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
                QVERIFY2(error <= std::abs(exact) * histogram.relative_error() * (1 + 1e-9),
                         qPrintable(QString("scale %1, q %2").arg(scale).arg(q)));
            }
        }
    }

    void a_quantile_of_a_whole_rank_is_the_value_of_that_rank() {
        ExponentialHistogram histogram;
        for (int i = 1; i <= 1000; ++i)
            histogram.record(i);
        for (int permille = 1; permille <= 1000; ++permille) {
            const double error = std::abs(histogram.quantile(permille / 1000.0).value() / permille - 1);
            QVERIFY2(error <= histogram.relative_error() * (1 + 1e-9), qPrintable(QString::number(permille)));
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
            QCOMPARE(histogram.count_up_to(bound), count_up_to(values, bound));
            // The bound of a negative bucket is its largest value's and belongs to the next.
            QCOMPARE(histogram.count_up_to(std::nextafter(-bound, -INFINITY)),
                     count_up_to(values, std::nextafter(-bound, -INFINITY)));
        }
        QCOMPARE(histogram.count_up_to(0), count_up_to(values, 0));
        QCOMPARE(histogram.count_up_to(-INFINITY), std::uint64_t{0});
        QCOMPARE(histogram.count_up_to(INFINITY), histogram.count());
        QCOMPARE(recorded({1, 2}).count_up_to(-1), std::uint64_t{0});
    }

    void the_cdf_is_exact_at_bounds_and_within_a_bucket_elsewhere() {
        Random random(kSeed);
        const Values values = random_values(random, 3000);
        for (const int scale : {7, 5, 0}) {
            const ExponentialHistogram histogram = recorded(values, scale);
            const auto share = [&](double value) {
                return static_cast<double>(count_up_to(values, value)) / 3000;
            };
            for (int exponent = -7; exponent <= 24; ++exponent)
                QCOMPARE(histogram.cdf(std::ldexp(1.0, exponent)), share(std::ldexp(1.0, exponent)));
            QCOMPARE(histogram.cdf(0), share(0));
            const double wide = 1 + 2.01 * histogram.relative_error();
            double before = 0;
            for (double value : sorted(random_values(random, 1000))) {
                const double cdf = histogram.cdf(value);
                const double step = std::abs(value) * (wide * wide - 1);
                QVERIFY(cdf >= share(value - step) && cdf <= share(value + step));
                QVERIFY(cdf >= before);
                before = cdf;
            }
        }
    }

    void the_cdf_goes_from_0_to_1() {
        const ExponentialHistogram histogram = recorded({-5, 0.001, 4, 1e12});
        QCOMPARE(histogram.cdf(-INFINITY), 0.0);
        QCOMPARE(histogram.cdf(-5.001), 0.0);
        QCOMPARE(histogram.cdf(0), 0.25);
        QCOMPARE(histogram.cdf(1e12), 1.0);
        QCOMPARE(histogram.cdf(INFINITY), 1.0);
        QCOMPARE(histogram.cdf(NAN), 0.0);
        QCOMPARE(ExponentialHistogram().cdf(1), 0.0);
    }

    void the_density_integrates_to_the_cdf() {
        Random random(kSeed);
        std::normal_distribution<double> normal(0, 2);
        ExponentialHistogram histogram(4);
        for (int i = 0; i < 20000; ++i)
            histogram.record(normal(random));
        for (const auto& [low, high] : {std::pair(0.5, 2.0), std::pair(-4.0, -0.25), std::pair(1.1, 1.2)}) {
            double integral = 0;
            constexpr int kSteps = 20000;
            for (int i = 0; i < kSteps; ++i)
                integral +=
                    histogram.density(low + (high - low) * (i + 0.5) / kSteps) * (high - low) / kSteps;
            QVERIFY(std::abs(integral - (histogram.cdf(high) - histogram.cdf(low))) < 1e-4);
        }
    }

    void the_density_is_0_where_nothing_is_known_of_it() {
        const ExponentialHistogram histogram = recorded({0, 0, 1.5});
        for (const double value : {0.0, -1.5, 3.0, 1e-12, 1e12, double(NAN), double(INFINITY)})
            QCOMPARE(histogram.density(value), 0.0);
        QVERIFY(histogram.density(1.5) > 0);
        QCOMPARE(ExponentialHistogram().density(1.5), 0.0);
    }

    void moments_are_within_the_stated_error() {
        Random random(kSeed);
        std::lognormal_distribution<double> lognormal(-5, 1);
        std::normal_distribution<double> normal(0.3, 1);
        for (int round = 0; round < 2; ++round) {
            Values values(20000);
            for (double& value : values)
                value = round == 0 ? lognormal(random) : normal(random);
            Moments exact;
            for (const double value : values)
                exact.add(value);
            const auto norm = [&](double power, double around) {
                double sum = 0;
                for (const double value : values)
                    sum += std::pow(std::abs(value - around), power);
                return std::pow(sum / static_cast<double>(values.size()), 1 / power);
            };
            for (const int scale : {7, 5, 3}) {
                const ExponentialHistogram histogram = recorded(values, scale);
                const Moments moments = histogram.moments();
                const double e = histogram.relative_error();
                const auto third = [](const Moments& of) {
                    return *of.skewness() * std::pow(*of.variance(), 1.5);
                };
                const auto fourth_root = [](const Moments& of) {
                    return std::pow(*of.kurtosis(), 0.25) * std::sqrt(*of.variance());
                };
                QCOMPARE(moments.weight(), 20000.0);
                QVERIFY(std::abs(*moments.mean() - *exact.mean()) <= 1e-12);
                QVERIFY(std::abs(*moments.standard_deviation() - *exact.standard_deviation()) <=
                        e * norm(2, 0));
                QVERIFY(std::abs(fourth_root(moments) - fourth_root(exact)) <= e * norm(4, 0));
                const double c3 = norm(3, *exact.mean());
                QVERIFY(std::abs(third(moments) - third(exact)) <=
                        std::pow(c3 + e * norm(3, 0), 3) - std::pow(c3, 3));
            }
        }
        QVERIFY(ExponentialHistogram().moments().empty());
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
