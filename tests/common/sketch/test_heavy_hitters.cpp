#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QTest>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <unordered_map>

#include "common/sketch/heavy_hitters.hpp"

using namespace signalbox::sketch;

namespace {

using Random = std::mt19937_64;
using Truth = std::unordered_map<std::string, std::uint64_t>;
using Table = SpaceSavingTable;

constexpr std::uint64_t kSeed = 20260707;

/// Ranks 0 … keys - 1 by Zipf's law.
class Zipf {
public:
    Zipf(std::size_t keys, double exponent) : cumulated_(keys) {
        double sum = 0;
        for (std::size_t rank = 0; rank < keys; ++rank)
            cumulated_[rank] = sum += std::pow(static_cast<double>(rank + 1), -exponent);
    }
    std::size_t operator()(Random& random) const {
        const double at = std::uniform_real_distribution<double>(0, cumulated_.back())(random);
        return static_cast<std::size_t>(std::lower_bound(cumulated_.begin(), cumulated_.end(), at) -
                                        cumulated_.begin());
    }

private:
    std::vector<double> cumulated_;
};

/// A table beside the exact counts of what went into it.
struct Stream {
    std::unique_ptr<Table> table = std::make_unique<Table>();
    Truth truth;
    std::uint64_t total = 0;

    void add(const std::string& key, std::uint64_t amount = 1) {
        sketch_add(key, amount);
        truth[key] += amount;
        total += amount;
    }
    HeavyHitters seen() const { return read(*table); }

private:
    void sketch_add(const std::string& key, std::uint64_t amount) {
        signalbox::sketch::add(*table, key, amount);
    }
};

Truth operator+(Truth left, const Truth& right) {
    for (const auto& [key, weight] : right)
        left[key] += weight;
    return left;
}

std::string name(std::size_t number) {
    return "GET /letters/" + std::to_string(number);
}

/// Keys that all fall into one set.
std::vector<std::string> keys_of_one_set(std::size_t count) {
    std::vector<std::string> keys;
    for (std::size_t i = 0; keys.size() < count; ++i)
        if (set_of(key_tag(name(i))) == 7) keys.push_back(name(i));
    return keys;
}

/// Empty, or what is wrong: every key's weight lies within what is said of it, and nothing is said of others.
std::string broken_bound(const HeavyHitters& seen, const Truth& truth) {
    std::size_t known = 0;
    for (const auto& [key, weight] : truth) {
        const HeavyHitter* one = seen.find(key);
        if (one != nullptr) {
            ++known;
            if (one->at_least() > weight || weight > one->count + seen.missed)
                return key + ": " + std::to_string(weight) + " is not in " + std::to_string(one->at_least()) +
                       " … " + std::to_string(one->count);
        } else if (weight > seen.unlisted[set_of(key_tag(key))] + seen.missed) {
            return key + " is not listed and weighs " + std::to_string(weight);
        }
    }
    return known == seen.entries.size() ? "" : "there are entries of keys that were never added";
}

/// Empty, or what is wrong: no bound of a set exceeds a kWays-th of the weight that fell into it.
std::string loose_bound(const HeavyHitters& seen, const Truth& truth) {
    std::vector<std::uint64_t> load(Table::kSets);
    for (const auto& [key, weight] : truth)
        load[set_of(key_tag(key))] += weight;
    for (std::size_t set = 0; set < Table::kSets; ++set)
        if (seen.unlisted[set] > load[set] / Table::kWays) return "set " + std::to_string(set);
    for (const HeavyHitter& one : seen.entries)
        if (one.error > load[set_of(one.tag)] / Table::kWays) return one.key;
    return "";
}

#define VERIFY_BOUNDS(seen, truth)                            \
    do {                                                      \
        const std::string broken = broken_bound(seen, truth); \
        QVERIFY2(broken.empty(), broken.c_str());             \
        const std::string loose = loose_bound(seen, truth);   \
        QVERIFY2(loose.empty(), loose.c_str());               \
    } while (false)

/// Empty, or what is wrong: (1) of space_saving.hpp, from which the bounds follow.
std::string broken_invariant(const Table& table) {
    for (const Table::Set& set : table.sets) {
        std::uint64_t sum = 0;
        for (std::size_t way = 0; way < Table::kWays; ++way)
            sum += std::max(set.limit.load(), set.weights[way].load());
        if (sum > set.added) return std::to_string(sum) + " > " + std::to_string(set.added);
        for (std::size_t cell = 0; cell < Table::kCells; ++cell)
            if (set.weights[Table::kWays + cell] > set.limit) return "a cell is above the limit";
    }
    return "";
}

enum class Shape { zipf, uniform, ever_new, one_set, uneven, growing };

Stream random_stream(Shape shape, Random& random, int length) {
    static const Zipf zipf(100'000, 1.1);
    static const std::vector<std::string> crowd = keys_of_one_set(200);
    Stream stream;
    for (int i = 0; i < length; ++i) {
        const auto number = static_cast<std::size_t>(i);
        switch (shape) {
            case Shape::zipf:
                stream.add(name(zipf(random)));
                break;
            case Shape::uniform:
                stream.add(name(random() % 5000), random() % 100);
                break;
            case Shape::ever_new:  // nothing is frequent: the hardest to be right about
                stream.add(name(number));
                break;
            case Shape::one_set:
                stream.add(crowd[number % crowd.size()]);
                break;
            case Shape::uneven:
                stream.add(crowd[random() % crowd.size()], std::uint64_t{1} << random() % 16);
                break;
            case Shape::growing:  // each key outweighs all before it
                stream.add(name(number % 3000), std::uint64_t{1} << number % 40);
                break;
        }
    }
    return stream;
}

/// Shared between this process and its children, zeroed.
template <typename Shared>
class SharedMemory {
public:
    SharedMemory()
        : at_(static_cast<Shared*>(
              mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
    ~SharedMemory() { munmap(at_, sizeof(Shared)); }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    Shared* operator->() { return at_; }
    Shared& operator*() { return *at_; }

private:
    Shared* at_;
};

/// A child that runs `work` until it is killed, at the latest when this goes.
class Child {
public:
    explicit Child(const std::function<void()>& work) : pid_(fork()) {
        if (pid_ != 0) return;
        work();
        _exit(0);
    }
    ~Child() { kill(); }
    pid_t pid() const { return pid_; }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    void kill() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
        pid_ = 0;
    }

private:
    pid_t pid_;
};

}  // namespace

class TestHeavyHitters : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void an_empty_table_says_nothing() {
        const HeavyHitters none = Stream().seen();
        QVERIFY(none == HeavyHitters());
        QVERIFY(none.top(10).empty());
        QVERIFY(none.find("x") == nullptr);
        QCOMPARE(none.max_error(), std::uint64_t{0});
    }

    void few_keys_are_counted_exactly() {
        Stream stream;
        for (int round = 1; round <= 5; ++round)
            for (const char* key : {"a", "GET /", "192.0.2.1", "2001:db8::1234:5678:9abc:def0"})
                stream.add(key, static_cast<std::uint64_t>(round));
        stream.add("a", 100);
        const HeavyHitters seen = stream.seen();
        QCOMPARE(seen.total, std::uint64_t{160});
        QCOMPARE(seen.entries.size(), std::size_t{4});
        QCOMPARE(seen.max_error(), std::uint64_t{0});
        for (const auto& [key, weight] : stream.truth) {
            QVERIFY(seen.find(key) != nullptr);
            QCOMPARE(seen.find(key)->key, key);
            QCOMPARE(seen.find(key)->count, weight);
            QCOMPARE(seen.find(key)->at_least(), weight);
        }
        QCOMPARE(seen.top(1).at(0).key, std::string("a"));
        QCOMPARE(seen.top(99).size(), std::size_t{4});
    }

    void any_bytes_of_any_length_are_a_key() {
        Stream stream;
        for (std::size_t length = 0; length <= Table::kKeyBytes; ++length) {
            std::string key;
            for (std::size_t i = 0; i < length; ++i)
                key += static_cast<char>(i * 37 + length);
            stream.add(key, length + 1);
            stream.add(std::string(length, '\0'), 1);
        }
        const HeavyHitters seen = stream.seen();
        QCOMPARE(seen.entries.size(), stream.truth.size());
        for (const auto& [key, weight] : stream.truth) {
            const HeavyHitter* one = seen.find(key);
            QVERIFY(one != nullptr);
            QCOMPARE(one->key, key);
            QCOMPARE(one->count, weight);
            QVERIFY(!one->truncated());
        }
    }

    void no_byte_outside_a_key_is_touched() {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        void* const pages =
            mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char* const readable = static_cast<char*>(pages) + page;
        for (std::size_t i = 0; i < page; ++i)
            readable[i] = static_cast<char>(i * 37 + i / 256);
        mprotect(readable - page, page, PROT_NONE);
        mprotect(readable + page, page, PROT_NONE);
        for (std::size_t length = 0; length < 300; ++length) {
            for (const char* start : {readable, readable + page - length}) {
                Table table{};
                add(table, {start, length});
                const std::string key(start, std::min(length, Table::kKeyBytes));
                QCOMPARE(read(table).entries.at(0).key, key);
            }
        }
        munmap(pages, 3 * page);
    }

    void long_keys_with_the_same_beginning_are_told_apart() {
        const std::string beginning(Table::kKeyBytes, 'x');
        Stream stream;
        stream.add(beginning, 1);
        stream.add(beginning + "1", 10);
        stream.add(beginning + "2", 100);
        stream.add(beginning + std::string(5000, '2'), 1000);
        HeavyHitters seen = stream.seen();
        seen.merge(stream.seen());
        QCOMPARE(seen.entries.size(), std::size_t{4});
        for (const auto& [key, weight] : stream.truth) {
            const HeavyHitter* one = seen.find(key);
            QVERIFY(one != nullptr);
            QCOMPARE(one->key, beginning);
            QCOMPARE(one->truncated(), key.size() > Table::kKeyBytes);
            QCOMPARE(one->count, weight * 2);
        }
    }

    void an_amount_of_zero_changes_no_bound() {
        Stream stream;
        for (std::size_t i = 0; i < 5000; ++i)
            stream.add(name(i), i % 3);
        VERIFY_BOUNDS(stream.seen(), stream.truth);
        QCOMPARE(stream.seen().total, stream.total);
    }

    void every_weight_is_within_its_bounds_data() {
        QTest::addColumn<Shape>("shape");
        QTest::newRow("Zipf 1.1") << Shape::zipf;
        QTest::newRow("uniform, weighted") << Shape::uniform;
        QTest::newRow("never the same twice") << Shape::ever_new;
        QTest::newRow("all in one set") << Shape::one_set;
        QTest::newRow("all in one set, unevenly weighted") << Shape::uneven;
        QTest::newRow("ever heavier") << Shape::growing;
    }
    void every_weight_is_within_its_bounds() {
        QFETCH(Shape, shape);
        Random random(kSeed);
        const Stream stream = random_stream(shape, random, 300'000);
        const HeavyHitters seen = stream.seen();
        VERIFY_BOUNDS(seen, stream.truth);
        QCOMPARE(seen.total, stream.total);
        QCOMPARE(seen.missed, std::uint64_t{0});
    }

    void merges_of_any_grouping_keep_the_bounds_data() { every_weight_is_within_its_bounds_data(); }
    void merges_of_any_grouping_keep_the_bounds() {
        QFETCH(Shape, shape);
        Random random(kSeed);
        Truth truth;
        std::uint64_t total = 0;
        std::vector<HeavyHitters> parts;
        for (int part = 0; part < 8; ++part) {
            const Stream stream = random_stream(shape, random, 5000 << part % 4);
            parts.push_back(stream.seen());
            truth = truth + stream.truth;
            total += stream.total;
        }
        for (int round = 0; round < 20; ++round) {
            std::vector<HeavyHitters> left = parts;
            while (left.size() > 1) {
                std::shuffle(left.begin(), left.end(), random);
                left[left.size() - 2].merge(left.back());
                left.pop_back();
                QVERIFY(left.back().entries.size() <= Table::kCounters);
            }
            VERIFY_BOUNDS(left[0], truth);
            QCOMPARE(left[0].total, total);
        }
    }

    void merging_is_commutative_and_an_empty_one_changes_nothing() {
        Random random(kSeed);
        const HeavyHitters a = random_stream(Shape::zipf, random, 30'000).seen();
        const HeavyHitters b = random_stream(Shape::uniform, random, 30'000).seen();
        HeavyHitters ab = a, ba = b, a_alone = a, alone_a;
        ab.merge(b);
        ba.merge(a);
        QVERIFY(ab == ba);
        a_alone.merge(HeavyHitters());
        alone_a.merge(a);
        QVERIFY(a_alone == a);
        QVERIFY(alone_a == a);
    }

    void what_was_stored_reads_the_same_and_goes_on_counting() {
        Random random(kSeed);
        Stream first = random_stream(Shape::zipf, random, 50'000);
        const Stream second = random_stream(Shape::zipf, random, 20'000);
        HeavyHitters both = first.seen();
        both.merge(second.seen());
        const Truth truth = first.truth + second.truth;

        Stream again;
        store(both, *again.table);
        QVERIFY(again.seen() == both);
        VERIFY_BOUNDS(again.seen(), truth);

        again.truth = truth;
        again.total = both.total;
        for (std::size_t i = 0; i < 50'000; ++i)
            again.add(name(random() % 20'000));
        VERIFY_BOUNDS(again.seen(), again.truth);
        QCOMPARE(again.seen().total, again.total);
    }

    void the_limit_leaves_room_for_every_weight_data() { every_weight_is_within_its_bounds_data(); }
    void the_limit_leaves_room_for_every_weight() {
        QFETCH(Shape, shape);
        Random random(kSeed);
        for (int length = 1; length <= 100'000; length += 1 + length / 4) {
            const std::string broken = broken_invariant(*random_stream(shape, random, length).table);
            QVERIFY2(broken.empty(), broken.c_str());
        }
    }

    void the_limit_leaves_room_for_a_heavy_newcomer() {
        const std::vector<std::string> keys = keys_of_one_set(Table::kWays + 1);
        Stream stream;
        for (std::size_t i = 0; i < Table::kWays; ++i)
            stream.add(keys[i], 100);
        stream.add(keys.back(), 300);
        QCOMPARE(broken_invariant(*stream.table), std::string());
    }

    void few_adds_replace_a_key_data() {
        QTest::addColumn<Shape>("shape");
        QTest::newRow("Zipf 1.1") << Shape::zipf;
        QTest::newRow("never the same twice") << Shape::ever_new;
    }
    void few_adds_replace_a_key() {
        QFETCH(Shape, shape);
        Random random(kSeed);
        constexpr int kLength = 300'000;
        const Stream stream = random_stream(shape, random, kLength);
        std::uint64_t replacements = 0;
        for (const Table::Set& set : stream.table->sets)
            replacements += set.version >> 1;
        QVERIFY(replacements < kLength / 20);
    }

    /// The newcomer takes the place of the lightest key. What is read after each instruction of that is what a
    /// writer killed there leaves: at most the add in flight may be missing.
    void a_writer_killed_anywhere_in_an_add_breaks_no_bound() {
        const std::vector<std::string> keys = keys_of_one_set(Table::kWays + 1);
        const std::string& newcomer = keys.back();
        constexpr std::uint64_t kAmount = 11;
        SharedMemory<Table> table;
        Stream before;
        for (std::size_t i = 0; i < Table::kWays; ++i)
            before.add(keys[i], 10 + i);
        for (std::size_t i = 0; i < Table::kWays; ++i)
            add(*table, keys[i], 10 + i);

        Child writer([&] {
            ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            raise(SIGSTOP);
            add(*table, newcomer, kAmount);
        });
        int status = 0;
        waitpid(writer.pid(), &status, 0);
        if (!WIFSTOPPED(status)) QSKIP("this process may not trace its children");
        std::vector<HeavyHitters> states;  // that differ
        while (WIFSTOPPED(status)) {
            HeavyHitters seen = read(*table);
            if (states.empty() || seen != states.back()) states.push_back(std::move(seen));
            const auto signal =
                WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status);
            QCOMPARE(ptrace(PTRACE_SINGLESTEP, writer.pid(), nullptr, signal), 0L);
            waitpid(writer.pid(), &status, 0);
        }
        QVERIFY(states.front() == before.seen());
        QVERIFY(states.back().find(newcomer) != nullptr);
        QVERIFY(states.size() > 3);
        for (HeavyHitters& seen : states) {
            QVERIFY(seen.total == before.total || seen.total == before.total + kAmount);
            std::erase_if(seen.entries, [&](const HeavyHitter& one) {
                return one.tag == key_tag(newcomer) && one.at_least() <= kAmount;
            });
            VERIFY_BOUNDS(seen, before.truth);
            HeavyHitters merged = seen;
            merged.merge(seen);
            Stream again;
            store(merged, *again.table);
            VERIFY_BOUNDS(again.seen(), before.truth + before.truth);
            QCOMPARE(again.seen().total, merged.total);
        }
    }

    void any_bytes_can_be_read_merged_and_stored() {
        Random random(kSeed);
        Stream good = random_stream(Shape::zipf, random, 20'000);
        for (int round = 0; round < 300; ++round) {
            auto table = std::make_unique<Table>();
            auto* const words = reinterpret_cast<Table::Word*>(table.get());
            const std::size_t count = sizeof(Table) / sizeof(Table::Word);
            if (round % 2 == 0) {  // noise
                for (std::size_t i = 0; i < count; ++i)
                    words[i] = random() >> random() % 64;
            } else {  // a good one that somebody scribbled over
                store(good.seen(), *table);
                for (int i = 0; i < 500; ++i)
                    words[random() % count] = random();
            }
            HeavyHitters seen = read(*table);
            QVERIFY(seen.entries.size() <= Table::kCounters);
            for (const HeavyHitter& one : seen.entries) {
                QVERIFY(one.key.size() <= Table::kKeyBytes);
                QVERIFY(one.truncated() || key_tag(one.key) == one.tag);
            }
            seen.merge(good.seen());
            store(seen, *table);
            for (int i = 0; i < 100; ++i)
                add(*table, name(static_cast<std::size_t>(i)));
            read(*table);
        }
    }

    void a_counter_whose_key_was_scribbled_over_still_bounds_what_is_unlisted() {
        const std::vector<std::string> keys = keys_of_one_set(Table::kWays);
        Stream stream;
        for (std::size_t i = 0; i < Table::kWays; ++i)
            stream.add(keys[i], 1000 - i);
        Table::Set& set = stream.table->sets[set_of(key_tag(keys[0]))];
        set.owners[0].key[0] = 0;
        const HeavyHitters seen = stream.seen();
        QVERIFY(seen.find(keys[0]) == nullptr);
        QCOMPARE(broken_bound(seen, stream.truth), std::string());

        store(seen, *stream.table);
        QCOMPARE(broken_bound(stream.seen(), stream.truth), std::string());
        QCOMPARE(stream.seen().total, stream.total);
    }

    void what_a_merge_has_no_room_for_bounds_what_is_unlisted() {
        constexpr std::size_t kEach = Table::kWays - 1;  // so that nothing else is unlisted
        const std::vector<std::string> keys = keys_of_one_set(2 * kEach);
        Stream light, heavy;
        for (std::size_t i = 0; i < kEach; ++i) {
            light.add(keys[i], 10 + i);
            heavy.add(keys[kEach + i], 100);
        }
        HeavyHitters seen = light.seen();
        seen.merge(heavy.seen());
        VERIFY_BOUNDS(seen, light.truth + heavy.truth);
        QCOMPARE(seen.entries.size(), Table::kWays);
        QCOMPARE(seen.max_error(), 10 + kEach - 2);  // the heaviest light key has the eighth counter
    }

    /// Keys of one set, of which there are more than counters. The pace goes from far too fast to see a set at
    /// rest to slow.
    void another_process_reads_while_one_writes_and_after_it_was_killed() {
        constexpr std::size_t kKeys = 40;
        struct Shared {
            Table table;
            std::atomic<std::uint64_t> begun[kKeys];
            std::atomic<std::uint64_t> ended[kKeys];
        };
        const std::vector<std::string> keys = keys_of_one_set(kKeys);
        const std::size_t set = set_of(key_tag(keys[0]));
        SharedMemory<Shared> shared;
        Child writer([&] {
            for (std::uint64_t i = 0;; ++i) {
                const std::size_t key = i % 3 == 0 ? i / 3 % 4 : i % kKeys;
                const std::uint64_t amount =
                    1 + i / 50 * (i % 7);  // ever heavier, so that keys replace others
                shared->begun[key] += amount;
                add(shared->table, keys[key], amount);
                shared->ended[key] += amount;
                for (std::uint64_t pause = i >> 10 & 63; pause > 0; --pause)
                    shared->table.missed.load();
            }
        });
        const auto check = [&] {
            std::array<std::uint64_t, kKeys> before;
            for (std::size_t i = 0; i < kKeys; ++i)
                before[i] = shared->ended[i];
            const HeavyHitters seen = read(shared->table);
            for (std::size_t i = 0; i < kKeys; ++i) {
                const HeavyHitter* one = seen.find(keys[i]);
                if (one && one->at_least() > shared->begun[i]) return false;
                if ((one ? one->count : seen.unlisted[set]) < before[i]) return false;
            }
            return true;
        };
        QTRY_VERIFY(shared->ended[0] > 100);
        for (int i = 0; i < 20'000; ++i)
            QVERIFY(check());
        writer.kill();
        QVERIFY(check());
        QVERIFY(read(shared->table) == read(shared->table));
    }

    /// Counters that change hands all the time, each one more than its error. A reader that mixed two states of
    /// one would find another difference, or the bytes of another key.
    void counters_that_change_hands_are_read_whole_or_not_at_all() {
        constexpr std::size_t kKeys = Table::kWays + 3;
        const std::vector<std::string> keys = keys_of_one_set(kKeys);
        SharedMemory<Table> table;
        Table::Set& set = table->sets[set_of(key_tag(keys[0]))];
        Child writer([&] {
            for (std::uint64_t i = 0;; ++i) {
                const std::string& key = keys[i % kKeys];
                detail::put(set, i % Table::kWays, key_tag(key), key, i + 1, i);
                for (std::uint64_t pause = i >> 10 & 63; pause > 0; --pause)
                    table->missed.load();
            }
        });
        QTRY_VERIFY(set.version > 1000);
        std::size_t seen = 0;
        for (int i = 0; i < 20'000 || seen < 20'000; ++i) {
            for (const HeavyHitter& one : read(*table).entries) {
                QCOMPARE(one.at_least(), std::uint64_t{1});
                QCOMPARE(key_tag(one.key), one.tag);
                ++seen;
            }
        }
    }

    void several_threads_share_a_table_and_what_was_missed_is_known() {
        auto table = std::make_unique<Table>();
        constexpr int kThreads = 4;
        constexpr int kAdds = 100'000;
        const Zipf zipf(5000, 1.1);
        std::vector<Truth> truths(kThreads);
        std::vector<std::thread> threads;
        for (std::size_t thread = 0; thread < kThreads; ++thread)
            threads.emplace_back([&, thread] {
                Random random(kSeed + thread);
                for (int i = 0; i < kAdds; ++i) {
                    const std::string key = name(zipf(random));
                    add_shared(*table, key);
                    ++truths[thread][key];
                }
            });
        for (std::thread& thread : threads)
            thread.join();
        Truth truth;
        for (const Truth& part : truths)
            truth = truth + part;
        const HeavyHitters seen = read(*table);
        VERIFY_BOUNDS(seen, truth);
        QCOMPARE(seen.total + seen.missed, std::uint64_t{kThreads} * kAdds);
    }

    void a_set_whose_holder_died_is_frozen_and_nobody_waits_for_it() {
        auto table = std::make_unique<Table>();
        Truth truth;
        const auto add_all = [&] {
            for (std::size_t i = 0; i < 1000; ++i) {
                add_shared(*table, name(i), 3);
                truth[name(i)] += 3;
            }
        };
        add_all();
        const std::size_t held = set_of(key_tag(name(1)));
        table->sets[held].version |= 1;
        add_all();
        const HeavyHitters seen = read(*table);
        QVERIFY(seen.missed > 0 && seen.missed % 3 == 0);
        QCOMPARE(seen.total + seen.missed, std::uint64_t{6000});
        VERIFY_BOUNDS(seen, truth);
    }
};

QTEST_GUILESS_MAIN(TestHeavyHitters)
#include "test_heavy_hitters.moc"
