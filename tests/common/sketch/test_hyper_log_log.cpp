#include <QFile>
#include <QLocalSocket>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <stdexcept>

#include "common/sketch/hyper_log_log.hpp"

using namespace signalbox::sketch;

namespace {

constexpr std::uint64_t kSeed = 20260707;
constexpr double kRedisError = 0.0081;

/// `count` elements, from the `first`-th of one stream of hashes.
UltraLogLog recorded(std::uint64_t first, std::uint64_t count, unsigned precision) {
    std::mt19937_64 random(kSeed);
    random.discard(first);
    UltraLogLog sketch(precision);
    for (std::uint64_t i = 0; i < count; ++i)
        sketch.add(random());
    return sketch;
}

/// A Redis server of its own, on a unix socket, that keeps nothing.
class Redis {
public:
    ~Redis() {
        server_.terminate();
        server_.waitForFinished();
    }

    bool start() {
        const QString path = directory_.filePath("redis.sock");
        server_.setProcessChannelMode(QProcess::MergedChannels);
        server_.start("redis-server", {"--port", "0", "--unixsocket", path, "--save", "", "--appendonly",
                                       "no", "--dir", directory_.path()});
        if (!server_.waitForStarted()) return false;
        return QTest::qWaitFor(
            [&] {
                connection_.connectToServer(path);
                return connection_.waitForConnected(1000);
            },
            30'000);
    }

    /// The one line that Redis replies with (RESP2): "+OK", ":42", "-ERR …".
    QByteArray ask(const QList<QByteArray>& words) {
        QByteArray request = "*" + QByteArray::number(words.size()) + "\r\n";
        for (const QByteArray& word : words)
            request += "$" + QByteArray::number(word.size()) + "\r\n" + word + "\r\n";
        connection_.write(request);
        while (!connection_.canReadLine())
            if (!connection_.waitForReadyRead()) return "no reply: " + server_.readAll();
        return connection_.readLine().trimmed();
    }

    QByteArray set(const QByteArray& key, const UltraLogLog& sketch) {
        return ask({"SET", key, QByteArray::fromStdString(redis_hyper_log_log(sketch))});
    }

private:
    QTemporaryDir directory_;
    QProcess server_;
    QLocalSocket connection_;
};

double counted(const QByteArray& reply) {
    return reply.startsWith(':') ? reply.mid(1).toDouble() : NAN;
}

}  // namespace

#define VERIFY_COUNTED(reply, truth)                                                \
    QVERIFY2(std::abs(counted(reply) - (truth)) <= 3 * kRedisError * (truth) + 0.5, \
             qPrintable(QString("%1 for %2").arg(QString(reply)).arg(truth)))

class TestHyperLogLog : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void registers_are_those_of_a_hyper_log_log_of_the_same_hashes() {
        for (unsigned precision = kLeastDistinctPrecision; precision <= kMostDistinctPrecision; ++precision) {
            std::mt19937_64 random(kSeed);
            UltraLogLog sketch(precision);
            std::vector<std::uint8_t> expected(register_count(precision));
            for (int i = 0; i < 100'000; ++i) {
                const std::uint64_t hash = random() << random() % 2 * (random() % 64);
                sketch.add(hash);
                const std::uint64_t rest = hash >> precision | std::uint64_t{1} << (63 - precision);
                std::uint8_t& most = expected[hash % expected.size()];
                most = std::max(most, static_cast<std::uint8_t>(std::countr_zero(rest) + 1));
            }
            QVERIFY(hyper_log_log_registers(sketch) == expected);
        }
    }

    void a_sketch_with_too_few_registers_for_redis_is_refused() {
        QVERIFY_EXCEPTION_THROWN(redis_hyper_log_log(UltraLogLog(13)), std::invalid_argument);
        QCOMPARE(redis_hyper_log_log(UltraLogLog(14)).size(), std::size_t{12'304});
        QVERIFY(redis_hyper_log_log(recorded(0, 1000, 16)) == redis_hyper_log_log(recorded(0, 1000, 14)));
    }

    void redis_counts_what_was_recorded() {
        Redis redis;
        QVERIFY2(redis.start(), "redis-server does not start");
        for (const std::uint64_t elements : {0, 1, 2, 10, 100, 1000, 10'000, 100'000, 1'000'000}) {
            for (const unsigned precision : {14u, 16u}) {
                const UltraLogLog sketch = recorded(0, elements, precision);
                QCOMPARE(redis.set("visitors", sketch), QByteArray("+OK"));
                const QByteArray reply = redis.ask({"PFCOUNT", "visitors"});
                const auto truth = static_cast<double>(elements);
                VERIFY_COUNTED(reply, truth);
                const double apart = std::hypot(kRedisError, sketch.relative_standard_error());
                QVERIFY(std::abs(counted(reply) - sketch.estimate()) <= 3 * apart * truth + 0.5);
            }
        }
    }

    void redis_merges_two_and_counts_what_is_in_both_once() {
        Redis redis;
        QVERIFY2(redis.start(), "redis-server does not start");
        for (const std::uint64_t elements : {0, 30, 3000, 300'000}) {
            const UltraLogLog today = recorded(0, 2 * elements, 14);
            const UltraLogLog yesterday = recorded(elements, 2 * elements, 15);
            QCOMPARE(redis.set("today", today), QByteArray("+OK"));
            QCOMPARE(redis.set("yesterday", yesterday), QByteArray("+OK"));
            QCOMPARE(redis.ask({"PFMERGE", "both", "today", "yesterday"}), QByteArray("+OK"));
            const QByteArray reply = redis.ask({"PFCOUNT", "both"});
            VERIFY_COUNTED(reply, 3 * static_cast<double>(elements));

            UltraLogLog merged = today;
            merged.merge(yesterday);
            QCOMPARE(redis.set("merged", merged), QByteArray("+OK"));
            QCOMPARE(redis.ask({"PFCOUNT", "merged"}), reply);
        }
    }
};

QTEST_GUILESS_MAIN(TestHyperLogLog)
#include "test_hyper_log_log.moc"
