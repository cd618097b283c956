#include <QTest>
#include <bit>
#include <latch>
#include <random>
#include <thread>
#include <vector>

#include "common/sketch/distinct_hash.hpp"
#include "common/sketch/ultra_log_log_registers.hpp"

using namespace signalbox::sketch;

namespace {

using Registers = std::vector<std::uint8_t>;
using SharedRegisters = std::vector<std::atomic<std::uint8_t>>;

constexpr std::uint64_t kSeed = 20260707;
constexpr unsigned kPrecisions[] = {8, 9, 12, 14, 16};

Registers plain(const SharedRegisters& shared) {
    return {shared.begin(), shared.end()};
}

/// The definition, literally: all counts of zeros that have occurred, one bit each.
class Model {
public:
    explicit Model(unsigned precision) : precision_(precision), occurred_(register_count(precision)) {}

    void add(std::uint64_t hash) {
        unsigned zeros = 0;
        while (zeros < 63 - precision_ && !(hash >> precision_ >> zeros & 1))
            ++zeros;
        occurred_[hash % occurred_.size()] |= std::uint64_t{1} << zeros;
    }

    Registers registers() const {
        Registers all;
        for (const std::uint64_t occurred : occurred_) {
            const unsigned most = occurred == 0 ? 0 : 63 - static_cast<unsigned>(std::countl_zero(occurred));
            const auto did_occur = [&](unsigned fewer) {
                return most >= fewer && occurred >> (most - fewer) & 1;
            };
            const unsigned value =
                4 * (precision_ + most) + (did_occur(1) ? 2u : 0u) + (did_occur(2) ? 1u : 0u);
            all.push_back(static_cast<std::uint8_t>(occurred == 0 ? 0 : value));
        }
        return all;
    }

private:
    unsigned precision_;
    std::vector<std::uint64_t> occurred_;
};

/// Hashes among which long runs of zeros are as likely as short ones, so that every register value occurs.
std::uint64_t steep_hash(std::mt19937_64& random, unsigned precision) {
    const std::uint64_t index = random() % register_count(precision);
    const std::uint64_t rest = random() << random() % 64;
    return rest << precision | index;
}

/// Registers of any precision: no element leads to less than 4 * 8.
Registers any_registers(std::mt19937_64& random, std::size_t count) {
    Registers registers(count);
    for (std::uint8_t& value : registers)
        value = static_cast<std::uint8_t>(32 + random() % 224);
    return registers;
}

}  // namespace

class TestUltraLogLogRegisters : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void recording_keeps_the_most_zeros_and_whether_the_two_counts_below_occurred() {
        std::mt19937_64 random(kSeed);
        for (const unsigned precision : kPrecisions) {
            for (const std::size_t elements : {1u, 100u, 10'000u, 1'000'000u}) {
                SharedRegisters registers(register_count(precision));
                Model model(precision);
                for (std::size_t i = 0; i < elements; ++i) {
                    const std::uint64_t hash = i % 2 ? random() : steep_hash(random, precision);
                    ultra_log_log_add(registers.data(), precision, hash);
                    model.add(hash);
                }
                QVERIFY(plain(registers) == model.registers());
                QVERIFY(registers_can_occur(plain(registers).data(), precision));
            }
        }
    }

    void recording_says_whether_a_register_changed() {
        std::mt19937_64 random(kSeed);
        SharedRegisters registers(register_count(8));
        for (int i = 0; i < 3000; ++i) {
            const Registers before = plain(registers);
            const std::uint64_t hash = random();
            const bool changed = ultra_log_log_add(registers.data(), 8, hash);
            QCOMPARE(changed, plain(registers) != before);
            QVERIFY(!ultra_log_log_add(registers.data(), 8, hash));
        }
    }

    void the_fewest_and_the_most_zeros_fit_a_register() {
        for (const unsigned precision : kPrecisions) {
            QCOMPARE(unsigned{register_after(~std::uint64_t{0}, precision)}, 4 * precision);
            QCOMPARE(unsigned{register_after(0, precision)}, 252u);
        }
    }

    /// For any bytes, not only for those that can occur: whatever a broken process left, merging has one
    /// result.
    void merging_registers_is_associative_commutative_and_idempotent_for_any_bytes() {
        const auto byte = [](unsigned value) { return static_cast<std::uint8_t>(value); };
        for (unsigned a = 0; a < 256; ++a) {
            QCOMPARE(merge_register(byte(a), byte(a)), byte(a));
            for (unsigned b = 0; b < 256; ++b) {
                const std::uint8_t merged = merge_register(byte(a), byte(b));
                QCOMPARE(merge_register(byte(b), byte(a)), merged);
                for (unsigned c = 0; c < 256; ++c)
                    if (merge_register(merged, byte(c)) !=
                        merge_register(byte(a), merge_register(byte(b), byte(c))))
                        QFAIL(qPrintable(QString("%1 %2 %3").arg(a).arg(b).arg(c)));
            }
        }
    }

    void a_register_includes_what_merging_leaves_it_at() {
        for (unsigned before = 0; before < 256; ++before) {
            for (unsigned seen = 4 * kLeastDistinctPrecision; seen < 256; seen += 4) {
                const auto a = static_cast<std::uint8_t>(before), b = static_cast<std::uint8_t>(seen);
                QCOMPARE(includes(a, b), merge_register(a, b) == a);
            }
        }
    }

    void merging_an_empty_register_changes_none_that_can_occur() {
        for (unsigned value = 4 * kLeastDistinctPrecision; value < 256; ++value)
            QCOMPARE(unsigned{merge_register(static_cast<std::uint8_t>(value), 0)}, value);
    }

    void merging_arrays_is_merging_each_register() {
        std::mt19937_64 random(kSeed);
        for (int round = 0; round < 200; ++round) {
            const std::size_t count = register_count(8 + round % 9);
            Registers from = any_registers(random, count);
            Registers into = any_registers(random, count);
            for (std::size_t i = 0; i < count; ++i) {  // runs that are the same, empty here, empty there
                if (i / 16 % 5 == 1) from[i] = into[i];
                if (i / 16 % 5 == 2) from[i] = 0;
                if (i / 16 % 5 == 3) into[i] = 0;
            }
            Registers expected = into;
            for (std::size_t i = 0; i < count; ++i)
                expected[i] = merge_register(expected[i], from[i]);

            const SharedRegisters shared_from(from.begin(), from.end());
            SharedRegisters shared_into(into.begin(), into.end());
            merge_registers(into.data(), from.data(), count);
            merge_registers(shared_into.data(), shared_from.data(), count);
            QVERIFY(into == expected);
            QVERIFY(plain(shared_into) == expected);
        }
    }

    void only_values_that_recording_leads_to_can_occur() {
        for (const unsigned precision : kPrecisions) {
            std::vector<bool> reachable(256);
            reachable[0] = true;
            for (std::uint8_t value = 4 * precision; value >= 4; value += 4)  // any first element …
                for (std::uint8_t second = 4 * precision; second >= 4; second += 4)
                    for (std::uint8_t third = 4 * precision; third >= 4; third += 4)
                        reachable[merge_register(value, merge_register(second, third))] = true;
            for (unsigned value = 0; value < 256; ++value) {
                Registers registers(register_count(precision));
                registers[value % registers.size()] = static_cast<std::uint8_t>(value);
                QCOMPARE(registers_can_occur(registers.data(), precision), bool{reachable[value]});
                QCOMPARE(register_can_occur(static_cast<std::uint8_t>(value), precision),
                         bool{reachable[value]});
            }
        }
    }

    /// All threads walk the registers in the same order, so that they meet at each of them while it changes.
    void threads_that_record_at_once_leave_the_registers_of_one_thread() {
        constexpr unsigned kPrecision = 8;
        constexpr std::size_t kThreads = 3;
        constexpr int kRounds = 500;
        SharedRegisters together(register_count(kPrecision));
        SharedRegisters alone(register_count(kPrecision));
        std::mt19937_64 random(kSeed);
        for (int round = 0; round < kRounds; ++round) {
            for (std::size_t i = 0; i < together.size(); ++i)
                together[i] = alone[i] = 0;
            std::vector<std::vector<std::uint64_t>> hashes(kThreads);
            for (auto& of_thread : hashes)
                for (std::size_t i = 0; i < 4 * together.size(); ++i)
                    of_thread.push_back(steep_hash(random, kPrecision) / 256 * 256 + i / 4);

            std::latch start(kThreads);
            std::vector<std::thread> threads;
            for (const auto& of_thread : hashes)
                threads.emplace_back([&] {
                    start.arrive_and_wait();
                    for (const std::uint64_t hash : of_thread)
                        ultra_log_log_add(together.data(), kPrecision, hash);
                });
            for (std::thread& thread : threads)
                thread.join();
            for (const auto& of_thread : hashes)
                for (const std::uint64_t hash : of_thread)
                    ultra_log_log_add(alone.data(), kPrecision, hash);
            QVERIFY(plain(together) == plain(alone));
        }
    }

    void a_copy_made_while_others_record_holds_what_can_occur() {
        SharedRegisters registers(register_count(12));
        std::atomic<bool> enough{false};
        std::thread writer([&] {
            for (std::mt19937_64 random(kSeed); !enough;)
                ultra_log_log_add(registers.data(), 12, steep_hash(random, 12));
        });
        Registers copy(registers.size());
        bool all_can_occur = true;
        for (int i = 0; i < 200; ++i) {
            copy_registers(copy.data(), registers.data(), copy.size());
            all_can_occur = all_can_occur && registers_can_occur(copy.data(), 12);
        }
        enough = true;
        writer.join();
        QVERIFY(all_can_occur);
        SharedRegisters with_copy(copy.begin(), copy.end());
        merge_registers(with_copy.data(), registers.data(), copy.size());
        QVERIFY(plain(with_copy) == plain(registers));
    }

    /// The hash is part of what processes of different builds agree on.
    void the_hash_is_seeded_xxh3_and_never_changes() {
        QCOMPARE(distinct_hash("", 0), std::uint64_t{0x2D06800538D394C2});  // XXH3's specification
        QVERIFY(distinct_hash("signalbox") != distinct_hash("signalbox", 0));
        SharedRegisters registers(register_count(12));
        SharedRegisters expected(register_count(12));
        for (int i = 0; i < 1000; ++i) {
            const std::string key = std::string(static_cast<std::size_t>(i % 300), 'x') + std::to_string(i);
            add_distinct(registers.data(), 12, key);
            ultra_log_log_add(expected.data(), 12, distinct_hash(key));
        }
        QVERIFY(plain(registers) == plain(expected));
    }
};

QTEST_GUILESS_MAIN(TestUltraLogLogRegisters)
#include "test_ultra_log_log_registers.moc"
