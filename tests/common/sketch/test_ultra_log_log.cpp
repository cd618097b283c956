#include <QTest>
#include <cmath>
#include <random>
#include <stdexcept>

#include "common/sketch/ultra_log_log.hpp"

using namespace signalbox::sketch;

namespace {

using Hashes = std::vector<std::uint64_t>;
using Random = std::mt19937_64;

constexpr std::uint64_t kSeed = 20260707;

Hashes random_hashes(Random& random, std::size_t count) {
    Hashes hashes(count);
    for (std::uint64_t& hash : hashes)
        hash = random() << random() % 3 * (random() % 24) | random() >> 48;  // now and then with many zeros
    return hashes;
}

UltraLogLog recorded(const Hashes& hashes, unsigned precision = kDefaultDistinctPrecision) {
    UltraLogLog sketch(precision);
    for (const std::uint64_t hash : hashes)
        sketch.add(hash);
    return sketch;
}

UltraLogLog merged(UltraLogLog left, const UltraLogLog& right) {
    left.merge(right);
    return left;
}

Hashes joined(Hashes left, const Hashes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

}  // namespace

class TestUltraLogLog : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void merging_is_associative_commutative_idempotent_and_equals_recording_all_into_one() {
        Random random(kSeed);
        for (int round = 0; round < 60; ++round) {
            const auto some = [&] { return random_hashes(random, random() % (round < 50 ? 3000 : 60'000)); };
            const Hashes a = some(), b = some(), c = some();
            const UltraLogLog A = recorded(a), B = recorded(b), C = recorded(c);
            QVERIFY(merged(merged(A, B), C) == merged(A, merged(B, C)));
            QVERIFY(merged(A, B) == merged(B, A));
            QVERIFY(merged(A, A) == A);
            QVERIFY(merged(A, UltraLogLog()) == A);
            QVERIFY(merged(UltraLogLog(), A) == A);
            QVERIFY(merged(merged(A, B), C) == recorded(joined(joined(a, b), c)));
        }
    }

    void reducing_equals_recording_at_the_smaller_precision() {
        Random random(kSeed);
        for (int round = 0; round < 20; ++round) {
            const Hashes hashes = random_hashes(random, random() % 100'000);
            for (unsigned from = kLeastDistinctPrecision; from <= kMostDistinctPrecision; ++from)
                for (unsigned to = kLeastDistinctPrecision; to <= from; ++to)
                    QVERIFY(recorded(hashes, from).reduced_to(to) == recorded(hashes, to));
        }
    }

    void merging_across_precisions_equals_recording_all_at_the_smaller_one() {
        Random random(kSeed);
        for (int round = 0; round < 20; ++round) {
            const Hashes a = random_hashes(random, random() % 50'000);
            const Hashes b = random_hashes(random, random() % 50'000);
            const UltraLogLog expected = recorded(joined(a, b), 10);
            QVERIFY(merged(recorded(a, 14), recorded(b, 10)) == expected);
            QVERIFY(merged(recorded(a, 10), recorded(b, 14)) == expected);
        }
    }

    void estimates_lie_within_four_standard_errors_data() {
        QTest::addColumn<unsigned>("precision");
        for (const unsigned precision : {8u, 12u, 16u})
            QTest::addRow("p %u", precision) << precision;
    }

    void estimates_lie_within_four_standard_errors() {
        QFETCH(unsigned, precision);
        for (unsigned run = 0; run < 5; ++run) {
            Random random(kSeed + run);
            UltraLogLog sketch(precision);
            QCOMPARE(sketch.estimate(), 0.0);
            std::uint64_t elements = 0;
            for (std::uint64_t checkpoint = 1; checkpoint <= 1'000'000; checkpoint *= 10) {
                for (; elements < checkpoint; ++elements)
                    sketch.add(random());
                const double truth = static_cast<double>(checkpoint);
                const double error = std::abs(sketch.estimate() / truth - 1);
                QVERIFY2(error < 4 * sketch.relative_standard_error(),
                         qPrintable(QString("%1 for %2").arg(sketch.estimate()).arg(truth)));
            }
        }
    }

    /// 1000 runs tell a root mean square that is 6 % too large, and a bias of a fifth of it. (Every precision
    /// and number of elements: tests/bench/accuracy.)
    void estimates_are_as_exact_as_stated_and_not_biased() {
        constexpr int kRuns = 1000;
        constexpr double kElements = 20'000;
        Random random(kSeed);
        double sum = 0, squares = 0;
        for (int run = 0; run < kRuns; ++run) {
            UltraLogLog sketch(8);
            for (int i = 0; i < kElements; ++i)
                sketch.add(random());
            const double error = sketch.estimate() / kElements - 1;
            sum += error;
            squares += error * error;
        }
        const double stated = UltraLogLog(8).relative_standard_error();
        QVERIFY(std::sqrt(squares / kRuns) < 1.06 * stated);
        QVERIFY(std::abs(sum / kRuns) < 0.2 * stated);
    }

    /// Of few elements one is missed only where two share a register and its value.
    void a_few_elements_are_counted_to_the_unit() {
        Random random(kSeed);
        for (const unsigned precision : {12u, 14u, 16u}) {
            UltraLogLog sketch(precision);
            for (int elements = 1; elements <= 8; ++elements) {
                sketch.add(random());
                QCOMPARE(std::lround(sketch.estimate()), elements);
            }
        }
    }

    void the_same_element_counts_once() {
        UltraLogLog sketch;
        QVERIFY(sketch.empty());
        QVERIFY(sketch.add(kSeed));
        const UltraLogLog once = sketch;
        for (int i = 0; i < 1000; ++i)
            QVERIFY(!sketch.add(kSeed));
        QVERIFY(sketch == once);
        QVERIFY(!sketch.empty());
    }

    void the_stated_errors_are_those_of_the_documentation() {
        QVERIFY(std::abs(UltraLogLog(8).relative_standard_error() - 0.0476) < 0.0001);
        QVERIFY(std::abs(UltraLogLog(12).relative_standard_error() - 0.0119) < 0.0001);
        QVERIFY(std::abs(UltraLogLog(16).relative_standard_error() - 0.0030) < 0.0001);
        QVERIFY(std::abs(UltraLogLog().relative_standard_error() * 64 - 0.7608) < 0.0001);
    }

    void registers_make_the_same_sketch_again() {
        Random random(kSeed);
        for (unsigned precision = kLeastDistinctPrecision; precision <= kMostDistinctPrecision; ++precision) {
            const UltraLogLog sketch = recorded(random_hashes(random, 5000), precision);
            QVERIFY(UltraLogLog::from_registers(sketch.registers()) == sketch);
        }
    }

    void a_precision_out_of_range_is_refused() {
        QVERIFY_EXCEPTION_THROWN(UltraLogLog(7), std::invalid_argument);
        QVERIFY_EXCEPTION_THROWN(UltraLogLog(17), std::invalid_argument);
        QVERIFY_EXCEPTION_THROWN(UltraLogLog().reduced_to(7), std::invalid_argument);
    }

    void registers_that_cannot_occur_are_refused() {
        for (const std::size_t size : {0u, 1u, 128u, 4095u, 4097u, 131'072u})
            QVERIFY_EXCEPTION_THROWN(UltraLogLog::from_registers(std::vector<std::uint8_t>(size)),
                                     std::invalid_argument);
        std::vector<std::uint8_t> registers(4096);
        for (const int impossible : {1, 4, 47, 49, 50, 51, 53, 55}) {
            registers[4095] = static_cast<std::uint8_t>(impossible);
            QVERIFY_EXCEPTION_THROWN(UltraLogLog::from_registers(registers), std::invalid_argument);
        }
    }

    void shared_registers_merge_unless_one_cannot_occur() {
        Random random(kSeed);
        const Hashes hashes = random_hashes(random, 20'000);
        std::vector<std::atomic<std::uint8_t>> shared(register_count(13));
        for (const std::uint64_t hash : hashes)
            ultra_log_log_add(shared.data(), 13, hash);
        UltraLogLog sketch = recorded({1, 2, 3});
        QVERIFY(sketch.merge_shared(shared.data(), 13));
        QVERIFY(sketch == merged(recorded(hashes), recorded({1, 2, 3})));

        shared[17] = 3;
        const UltraLogLog before = sketch;
        QVERIFY(!sketch.merge_shared(shared.data(), 13));
        QVERIFY(sketch == before);
    }

    /// What passes the check may still be anything that many elements could lead to.
    void an_estimate_of_any_registers_is_a_finite_number() {
        Random random(kSeed);
        for (int round = 0; round < 300; ++round) {
            const unsigned precision = 8 + static_cast<unsigned>(round) % 9;
            std::vector<std::uint8_t> registers(register_count(precision));
            const unsigned lowest = round % 3 == 0 ? 252 : 4 * (precision + 2);
            const auto filled =
                static_cast<std::size_t>(std::ldexp(1.0, static_cast<int>(random() % (precision + 1))));
            for (std::size_t i = 0; i < filled; ++i)
                registers[i] = static_cast<std::uint8_t>(lowest + random() % (256 - lowest));
            const double estimate = UltraLogLog::from_registers(registers).estimate();
            QVERIFY(estimate > 0 && estimate <= 0x1p64);
        }
        QCOMPARE(UltraLogLog::from_registers(std::vector<std::uint8_t>(4096, 255)).estimate(), 0x1p64);
        std::vector<std::uint8_t> one_less(4096, 255);
        one_less[0] = 254;
        QVERIFY(UltraLogLog::from_registers(one_less).estimate() <= 0x1p64);
    }
};

QTEST_GUILESS_MAIN(TestUltraLogLog)
#include "test_ultra_log_log.moc"
