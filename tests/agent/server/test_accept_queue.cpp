#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <QTest>
#include <atomic>
#include <thread>

#include "agent/server/accept_queue.hpp"
#include "agent/server/wakeups.hpp"

using namespace signalbox;
using server::AcceptQueue;
using server::Wakeups;

namespace {

bool readable(int descriptor) {
    pollfd entry{descriptor, POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
}

}  // namespace

class AcceptQueueTest : public QObject {
    Q_OBJECT

private slots:
    void keeps_order_and_refuses_what_does_not_fit();
    void shows_what_it_holds();
    void wakes_an_armed_consumer_once();
    void loses_nothing_between_two_threads();
    void closes_what_nobody_took();
};

void AcceptQueueTest::keeps_order_and_refuses_what_does_not_fit() {
    telemetry::QueueRecord record{};
    const Wakeups wakeups(1);
    AcceptQueue queue(5, record, wakeups.of(0));  // in a ring of 8
    for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < 5; ++i)
            QVERIFY(queue.push({1000 + i, 1, {}}));
        QVERIFY(!queue.push({9999, 1, {}}));
        for (int i = 0; i < 5; ++i)
            QCOMPARE(queue.pop()->descriptor, 1000 + i);
        QVERIFY(!queue.pop());
    }
}

void AcceptQueueTest::shows_what_it_holds() {
    telemetry::QueueRecord record{};
    const Wakeups wakeups(1);
    AcceptQueue queue(4, record, wakeups.of(0));
    QCOMPARE(record.capacity.load(), 4u);
    QCOMPARE(record.oldest_monotonic_ns.load(), 0u);
    queue.push({1000, 11, {}});
    queue.push({1001, 12, {}});
    QCOMPARE(record.pushed.load(), 2u);
    QCOMPARE(record.popped.load(), 0u);
    QCOMPARE(record.oldest_monotonic_ns.load(), 11u);
    queue.pop();
    QCOMPARE(record.oldest_monotonic_ns.load(), 12u);
    queue.pop();
    QCOMPARE(record.popped.load(), 2u);
    QCOMPARE(record.oldest_monotonic_ns.load(), 0u);
    queue.count_shed();
    QCOMPARE(record.shed.load(), 1u);
}

void AcceptQueueTest::wakes_an_armed_consumer_once() {
    telemetry::QueueRecord record{};
    const Wakeups wakeups(1);
    AcceptQueue queue(4, record, wakeups.of(0));
    queue.push({1000, 1, {}});
    QVERIFY(!readable(wakeups.of(0)));
    QVERIFY(!queue.arm());
    queue.pop();
    QVERIFY(queue.arm());
    queue.push({1001, 1, {}});
    QVERIFY(readable(wakeups.of(0)));
    std::uint64_t count = 0;
    QCOMPARE(::read(wakeups.of(0), &count, sizeof count), 8);
    queue.push({1002, 1, {}});
    QVERIFY(!readable(wakeups.of(0)));
    while (queue.pop()) {
    }
}

void AcceptQueueTest::loses_nothing_between_two_threads() {
    constexpr int kCount = 200'000;
    telemetry::QueueRecord record{};
    const Wakeups wakeups(1);
    AcceptQueue queue(16, record, wakeups.of(0));
    std::atomic<bool> done = false;
    std::atomic<bool> lied = false;
    std::thread reader([&] {
        while (!done) {
            const std::uint64_t popped = record.popped.load();
            const std::uint64_t pushed = record.pushed.load();
            if (pushed < popped) lied = true;
        }
    });
    std::thread producer([&] {
        for (int i = 0; i < kCount; ++i)
            while (!queue.push({100'000 + i, static_cast<std::uint64_t>(i + 1), {}}))
                std::this_thread::yield();
    });
    int expected = 0;
    while (expected < kCount) {
        const auto socket = queue.pop();
        if (!socket) {
            if (queue.arm()) {
                pollfd entry{wakeups.of(0), POLLIN, 0};
                QVERIFY2(::poll(&entry, 1, 60'000) == 1, "the wake-up was lost");
                std::uint64_t count = 0;
                QCOMPARE(::read(wakeups.of(0), &count, sizeof count), 8);
            }
            continue;
        }
        QCOMPARE(socket->descriptor, 100'000 + expected);
        ++expected;
    }
    producer.join();
    done = true;
    reader.join();
    QVERIFY(!lied);
    QCOMPARE(record.oldest_monotonic_ns.load(), 0u);
    QCOMPARE(record.pushed.load(), record.popped.load());
}

void AcceptQueueTest::closes_what_nobody_took() {
    telemetry::QueueRecord record{};
    int ends[2];
    QCOMPARE(::pipe(ends), 0);
    {
        const Wakeups wakeups(1);
        AcceptQueue queue(4, record, wakeups.of(0));
        queue.push({ends[1], 1, {}});
    }
    char byte;
    QCOMPARE(::read(ends[0], &byte, 1), 0);
    ::close(ends[0]);
}

QTEST_GUILESS_MAIN(AcceptQueueTest)
#include "test_accept_queue.moc"
