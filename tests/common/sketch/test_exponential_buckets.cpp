#include <QTest>
#include <cmath>
#include <random>

#include "common/sketch/exponential_buckets.hpp"

using namespace signalbox::sketch;

class TestExponentialBuckets : public QObject {
    Q_OBJECT

private Q_SLOTS:
    /// The bound of sub-bucket k is 2^((k + 1) / 128), irrational but for the octave's own: the doubles on
    /// both sides of it must part exactly there. A long double says which side a double is on.
    void every_boundary_of_an_octave_is_exact_to_the_last_bit() {
        for (const int octave : {kLowestExponent, -1, 0, 1, 10, kHighestExponent - 1}) {
            for (int k = 0; k < kBucketsPerOctave; ++k) {
                const int bucket = octave * kBucketsPerOctave + k;
                const long double bound =
                    std::ldexp(std::exp2((k + 1) / static_cast<long double>(kBucketsPerOctave)), octave);
                auto below = static_cast<double>(bound);
                if (below > bound) below = std::nextafter(below, 0.0);
                const double above = std::nextafter(below, INFINITY);
                QCOMPARE(bucket_index(below), bucket);
                QCOMPARE(bucket_index(above), bucket + 1);
            }
        }
    }

    void whole_powers_of_two_end_their_bucket() {
        for (int exponent = kLowestExponent; exponent <= kHighestExponent; ++exponent) {
            const double power = std::ldexp(1.0, exponent);
            QCOMPARE(bucket_index(power), exponent * kBucketsPerOctave - 1);
            QCOMPARE(bucket_upper_bound(exponent * kBucketsPerOctave - 1, kFinestScale), power);
        }
    }

    void a_value_lies_within_the_bounds_of_its_bucket_at_every_scale() {
        std::mt19937_64 random(20260707);
        std::uniform_real_distribution<double> exponent(kLowestExponent + 0.01, kHighestExponent - 0.01);
        for (int i = 0; i < 20000; ++i) {
            const double value = std::exp2(exponent(random));
            for (int scale = kCoarsestScale; scale <= kFinestScale; ++scale) {
                const int bucket = bucket_index(value) >> (kFinestScale - scale);
                QVERIFY(value > bucket_upper_bound(bucket - 1, scale) * (1 - 1e-14));
                QVERIFY(value <= bucket_upper_bound(bucket, scale) * (1 + 1e-14));
            }
        }
    }

    void no_value_is_further_from_the_midpoint_than_stated() {
        for (int scale = kCoarsestScale; scale <= kFinestScale; ++scale) {
            const int shift = kFinestScale - scale;
            for (const int bucket : {kFirstBucket >> shift, -1, 0, 5, kLastBucket >> shift}) {
                const double middle = bucket_midpoint(bucket, scale);
                const double limit = relative_error(scale) * (1 + 1e-12);
                const double low = bucket_upper_bound(bucket - 1, scale);
                const double high = bucket_upper_bound(bucket, scale);
                QVERIFY(std::abs(low - middle) / low <= limit);
                QVERIFY(std::abs(high - middle) / high <= limit);
            }
        }
    }

    void the_stated_errors_are_those_of_the_documentation() {
        QVERIFY(std::abs(relative_error(7) - 0.00271) < 0.00001);
        QVERIFY(std::abs(relative_error(5) - 0.01083) < 0.00001);
    }
};

QTEST_GUILESS_MAIN(TestExponentialBuckets)
#include "test_exponential_buckets.moc"
