#include <QTest>
#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "common/sketch/moments.hpp"

using namespace signalbox::sketch;

namespace {

using Random = std::mt19937_64;

constexpr std::uint64_t kSeed = 20260707;

struct Weighted {
    double value;
    double weight;
};
using Values = std::vector<Weighted>;

Moments added(const Values& values) {
    Moments moments;
    for (const auto& [value, weight] : values)
        moments.add(value, weight);
    return moments;
}

/// By the definition, in two passes and long doubles.
Moments defined(const Values& values) {
    long double total = 0, sum = 0, m2 = 0, m3 = 0, m4 = 0;
    for (const auto& [value, weight] : values) {
        total += weight;
        sum += static_cast<long double>(value) * weight;
    }
    const long double mean = sum / total;
    for (const auto& [value, weight] : values) {
        const long double distance = value - mean;
        m2 += weight * distance * distance;
        m3 += weight * distance * distance * distance;
        m4 += weight * distance * distance * distance * distance;
    }
    return {static_cast<double>(total), static_cast<double>(mean), static_cast<double>(m2),
            static_cast<double>(m3), static_cast<double>(m4)};
}

bool close(double a, double b, double tolerance = 1e-9) {
    return std::abs(a - b) <= tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

bool close(const Moments& a, const Moments& b) {
    return close(a.weight(), b.weight()) && close(*a.mean() / *b.mean(), 1) &&
           close(*a.variance() / *b.variance(), 1) && close(*a.skewness(), *b.skewness()) &&
           close(*a.kurtosis() / *b.kurtosis(), 1);
}

Values random_values(Random& random, std::size_t count, double offset) {
    std::lognormal_distribution<double> value(0, 1);
    Values values;
    for (std::size_t i = 0; i < count; ++i)
        values.push_back({offset + value(random), static_cast<double>(random() % 4 + 1) / 2});
    return values;
}

}  // namespace

class TestMoments : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void nothing_is_known_of_no_values() {
        const Moments none;
        QVERIFY(none.empty());
        QVERIFY(!none.mean() && !none.variance() && !none.standard_deviation());
        QVERIFY(!none.skewness() && !none.kurtosis());
    }

    void equal_values_have_no_shape() {
        Moments same;
        same.add(7.5, 3);
        same.add(7.5);
        QCOMPARE(same.weight(), 4.0);
        QCOMPARE(same.mean(), 7.5);
        QCOMPARE(same.variance(), 0.0);
        QVERIFY(!same.skewness() && !same.kurtosis());
    }

    void a_small_example_by_hand() {
        // 1, 2, 3, 10: mean 4, distances -3 -2 -1 6, squares 50, cubes 180, fourth powers 1394.
        const Moments moments = added({{1, 1}, {2, 1}, {3, 1}, {10, 1}});
        QCOMPARE(moments.mean(), 4.0);
        QCOMPARE(moments.variance(), 12.5);
        QCOMPARE(moments.standard_deviation(), std::sqrt(12.5));
        QVERIFY(close(*moments.skewness(), 45 / std::pow(12.5, 1.5)));
        QVERIFY(close(*moments.kurtosis(), 348.5 / (12.5 * 12.5)));
    }

    void a_weight_is_the_same_as_adding_so_often() {
        Moments weighted;
        weighted.add(2, 3);
        weighted.add(5, 2);
        weighted.add(11, 0);
        QVERIFY(close(weighted, added({{2, 1}, {5, 1}, {2, 1}, {5, 1}, {2, 1}})));
    }

    void adding_and_merging_agree_with_the_definition_even_far_from_zero() {
        Random random(kSeed);
        for (const double offset : {0.0, -3.0, 1e6}) {
            const Values values = random_values(random, 5000, offset);
            const Moments expected = defined(values);
            QVERIFY(close(added(values), expected));

            for (int round = 0; round < 20; ++round) {
                std::vector<Moments> parts(1);
                for (const auto& [value, weight] : values) {
                    if (random() % 200 == 0) parts.emplace_back();
                    parts.back().add(value, weight);
                }
                while (parts.size() > 1) {
                    std::shuffle(parts.begin(), parts.end(), random);
                    parts[parts.size() - 2].merge(parts.back());
                    parts.pop_back();
                }
                QVERIFY(close(parts[0], expected));
            }
        }
    }

    void merging_with_none_changes_nothing() {
        const Moments some = added({{1, 1}, {4, 2}});
        Moments left = some, right;
        left.merge(Moments());
        right.merge(some);
        QVERIFY(left == some);
        QVERIFY(right == some);
    }

    void known_distributions_have_their_known_shape_data() {
        QTest::addColumn<std::function<double(Random&)>>("draw");
        QTest::addColumn<double>("skewness");
        QTest::addColumn<double>("kurtosis");
        using Draw = std::function<double(Random&)>;
        QTest::newRow("uniform") << Draw(std::uniform_real_distribution<double>(3, 5)) << 0.0 << 1.8;
        QTest::newRow("normal") << Draw(std::normal_distribution<double>(-4, 0.1)) << 0.0 << 3.0;
        QTest::newRow("exponential") << Draw(std::exponential_distribution<double>(9)) << 2.0 << 9.0;
    }
    void known_distributions_have_their_known_shape() {
        QFETCH(std::function<double(Random&)>, draw);
        QFETCH(double, skewness);
        QFETCH(double, kurtosis);
        Random random(kSeed);
        Moments moments;
        for (int i = 0; i < 1'000'000; ++i)
            moments.add(draw(random));
        QVERIFY(std::abs(*moments.skewness() - skewness) < 0.03);
        QVERIFY(std::abs(*moments.kurtosis() - kurtosis) < 0.4);
    }
};

QTEST_GUILESS_MAIN(TestMoments)
#include "test_moments.moc"
