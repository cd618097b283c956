// The queue between callers and the writer's thread: bounded, in order, nothing lost that was accepted.
#include <QtTest>
#include <thread>

#include "agent/log/log_queue.hpp"

using namespace signalbox;
using namespace signalbox::log;

class TestLogQueue : public QObject {
    Q_OBJECT
private slots:
    void events_come_out_whole_and_in_order();
    void a_full_queue_refuses();
    void threads_lose_nothing_that_was_accepted();
};

void TestLogQueue::events_come_out_whole_and_in_order() {
    LogQueue queue(4);
    QueuedEvent out;
    QVERIFY(queue.empty() && !queue.pop(out));
    for (unsigned i = 0; i < 100; ++i) {
        // Short texts and long ones: those of the queue's memory and those of a string's own.
        const std::string text(i % 40, static_cast<char>('a' + i % 26));
        QVERIFY(queue.push({.name = "event", .text = text, .action = i, .fields = "xyz"}));
        QVERIFY(queue.push({.name = "next", .action = i}));
        QVERIFY(!queue.empty() && queue.pop(out));
        QVERIFY(out.event().name == "event" && out.event().text == text && out.event().fields == "xyz");
        QCOMPARE(out.event().action, i);
        QVERIFY(queue.pop(out) && out.event().name == "next" && out.event().text.empty());
    }
    QVERIFY(queue.push({.text = std::string(20'000, 't')}));
    QVERIFY(queue.pop(out));
    QCOMPARE(out.event().text.size(), 16384u);
    QVERIFY(out.event().cut);
}

void TestLogQueue::a_full_queue_refuses() {
    LogQueue queue(4);
    for (unsigned i = 0; i < 4; ++i)
        QVERIFY(queue.push({.action = i}));
    QVERIFY(!queue.push({}));
    QueuedEvent out;
    QVERIFY(queue.pop(out));
    QVERIFY(queue.push({.action = 4}));
    QVERIFY(!queue.push({}));
    for (unsigned i = 1; i <= 4; ++i) {
        QVERIFY(queue.pop(out));
        QCOMPARE(out.event().action, i);
    }
}

void TestLogQueue::threads_lose_nothing_that_was_accepted() {
    constexpr unsigned kThreads = 4;
    constexpr std::uint32_t kEach = 20000;
    LogQueue queue(64);
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<unsigned> running{kThreads};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            const std::string text(t * 10, static_cast<char>('a' + t));
            for (std::uint32_t i = 1; i <= kEach; ++i)
                if (queue.push({.pid = t, .text = text, .action = i})) ++accepted;
            --running;
        });
    std::uint64_t received = 0;
    std::array<std::uint32_t, kThreads> last{};
    QueuedEvent out;
    const auto receive = [&] {
        while (queue.pop(out)) {
            const auto event = out.event();
            QCOMPARE(event.text, std::string(event.pid * 10, static_cast<char>('a' + event.pid)));
            QVERIFY(event.action > last.at(event.pid));
            last.at(event.pid) = event.action;
            ++received;
        }
    };
    while (running > 0)
        receive();
    for (auto& thread : threads)
        thread.join();
    receive();
    QCOMPARE(received, accepted.load());
}

QTEST_GUILESS_MAIN(TestLogQueue)
#include "test_log_queue.moc"
