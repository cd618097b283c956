#include <QTest>
#include <chrono>

#include "http_client.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto kSoon = 300ms;

/// Only the deadline in question is short.
WorkerProcesses worker_with(std::chrono::milliseconds HttpLimits::*deadline) {
    ListenerOptions options;
    options.limits = {.header_deadline = 60s, .body_deadline = 60s, .write_deadline = 60s, .keep_alive = 60s};
    options.limits.*deadline = kSoon;
    return WorkerProcesses(test_router(), options);
}

}  // namespace

class DeadlinesTest : public QObject {
    Q_OBJECT

private slots:
    void a_slow_header_is_answered_408();
    void a_connection_that_says_nothing_is_closed();
    void a_slow_body_is_answered_408();
    void a_body_that_keeps_coming_is_cut_off_too();
    void an_idle_connection_is_closed_quietly();
    void a_reader_that_stops_is_closed();
    void a_slow_handler_has_no_deadline();
};

void DeadlinesTest::a_slow_header_is_answered_408() {
    auto worker = worker_with(&HttpLimits::header_deadline);
    worker.start();
    HttpClient client(worker.address());
    const auto begin = Clock::now();
    client.send("GET /hello HTTP/1.1\r\nHost:");
    QCOMPARE(client.read().status, 408);
    QVERIFY(Clock::now() - begin >= kSoon);
    QVERIFY(client.ends());

    HttpClient second(worker.address());
    second.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\nGET /hel");
    QCOMPARE(second.read().status, 200);
    QCOMPARE(second.read().status, 408);
}

void DeadlinesTest::a_connection_that_says_nothing_is_closed() {
    auto worker = worker_with(&HttpLimits::header_deadline);
    worker.start();
    QVERIFY(HttpClient(worker.address()).ends());
}

void DeadlinesTest::a_slow_body_is_answered_408() {
    auto worker = worker_with(&HttpLimits::body_deadline);
    worker.start();
    HttpClient client(worker.address());
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
    QCOMPARE(client.read().status, 408);
    QVERIFY(client.ends());
}

void DeadlinesTest::a_body_that_keeps_coming_is_cut_off_too() {
    auto worker = worker_with(&HttpLimits::body_deadline);
    worker.start();
    HttpClient client(worker.address());
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n");
    const auto limit = Clock::now() + 20s;
    while (worker.seat().requests.load() == 0 && Clock::now() < limit) {
        client.try_send("x");
        QTest::qWait(10);
    }
    QCOMPARE(client.read().status, 408);
}

void DeadlinesTest::an_idle_connection_is_closed_quietly() {
    auto worker = worker_with(&HttpLimits::keep_alive);
    worker.start();
    HttpClient client(worker.address());
    client.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    QCOMPARE(client.read().status, 200);
    const auto begin = Clock::now();
    QVERIFY(client.ends());
    QVERIFY(Clock::now() - begin >= kSoon - 50ms);
}

void DeadlinesTest::a_reader_that_stops_is_closed() {
    auto worker = worker_with(&HttpLimits::write_deadline);
    worker.start();
    HttpClient client(worker.address(), 4096);
    client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    QTRY_COMPARE_WITH_TIMEOUT(worker.seat().connections.load(), 1u, 20'000);
    QTRY_COMPARE_WITH_TIMEOUT(worker.seat().connections.load(), 0u, 20'000);
}

void DeadlinesTest::a_slow_handler_has_no_deadline() {
    ListenerOptions options;
    options.limits = {
        .header_deadline = kSoon, .body_deadline = kSoon, .write_deadline = kSoon, .keep_alive = kSoon};
    WorkerProcesses worker(test_router(), options);
    worker.start();
    QCOMPARE(ask(worker.address(), "GET /slow?ms=1000 HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
}

SERVER_TEST_MAIN(DeadlinesTest)
#include "test_deadlines.moc"
