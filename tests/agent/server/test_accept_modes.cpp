#include <signal.h>
#include <QTest>

#include "agent/server/reuseport.hpp"
#include "http_client.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

Q_DECLARE_METATYPE(Accept)

namespace {

const std::string kGetHello = "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

void modes() {
    QTest::addColumn<Accept>("mode");
    for (const Accept mode : {Accept::queue, Accept::exclusive, Accept::reuseport})
        QTest::newRow(server::name_of(mode).data()) << mode;
}

}  // namespace

class AcceptModesTest : public QObject {
    Q_OBJECT

private slots:
    void serves_and_counts_data() { modes(); }
    void serves_and_counts();
    void sheds_what_does_not_fit_data() { modes(); }
    void sheds_what_does_not_fit();
    void sheds_what_waited_too_long_data() { modes(); }
    void sheds_what_waited_too_long();
    void a_successor_takes_what_waits_data() { modes(); }
    void a_successor_takes_what_waits();
    void a_drain_can_be_taken_back_data() { modes(); }
    void a_drain_can_be_taken_back();
    void kept_open_connections_spread_evenly();
    void a_stopped_worker_leaves_connections_to_the_other_data() { modes(); }
    void a_stopped_worker_leaves_connections_to_the_other();
    void the_others_serve_a_slot_that_has_lost_its_worker();
    void unix_sockets_have_no_reuseport();
};

void AcceptModesTest::serves_and_counts() {
    QFETCH(Accept, mode);
    WorkerProcesses workers(test_router(), {.accept = mode});
    workers.start(0);
    workers.start(2);
    for (int i = 0; i < 100; ++i)
        QCOMPARE(ask(workers.address(), kGetHello).status, 200);
    QCOMPARE(workers.counter("connections_accepted_total"), 100u);
    QCOMPARE(workers.seat(0).queues[0].pushed.load() + workers.seat(2).queues[0].pushed.load(), 100u);
}

void AcceptModesTest::sheds_what_does_not_fit() {
    QFETCH(Accept, mode);
    WorkerProcesses worker(test_router(), {.accept = mode, .queue_capacity = 8, .queue_deadline = 60s});
    worker.start();
    HttpClient spinning(worker.address());
    spinning.send("GET /spin?ms=500 HTTP/1.1\r\nHost: h\r\n\r\n");
    QTRY_VERIFY(worker.seat().activity.length.load() > 0);
    std::vector<HttpClient> clients;
    for (int i = 0; i < 60; ++i) {
        clients.emplace_back(worker.address());
        clients.back().try_send(kGetHello);
    }
    std::uint64_t served = 0;
    std::uint64_t shed = 0;
    for (HttpClient& client : clients) {
        const Reply reply = client.read();
        QVERIFY(reply.status == 200 || reply.status == 503);
        (reply.status == 200 ? served : shed) += 1;
        if (reply.status == 503) QCOMPARE(reply.header("retry-after"), std::string("1"));
    }
    QVERIFY(served >= 8 && shed > 0);
    QCOMPARE(worker.seat().queues[0].shed.load(), shed);
    QCOMPARE(spinning.read().status, 200);
}

void AcceptModesTest::sheds_what_waited_too_long() {
    QFETCH(Accept, mode);
    WorkerProcesses worker(test_router(), {.accept = mode, .queue_deadline = 200ms});
    worker.start();
    HttpClient spinning(worker.address());
    spinning.send("GET /spin?ms=800 HTTP/1.1\r\nHost: h\r\n\r\n");
    QTRY_VERIFY(worker.seat().activity.length.load() > 0);
    HttpClient waiting(worker.address());
    waiting.send(kGetHello);
    QCOMPARE(waiting.read().status, 503);
    QCOMPARE(spinning.read().status, 200);
    QCOMPARE(worker.counter("connections_shed_total", {{"reason", "deadline"}}), 1u);
    QCOMPARE(ask(worker.address(), kGetHello).status, 200);
}

void AcceptModesTest::a_successor_takes_what_waits() {
    QFETCH(Accept, mode);
    WorkerProcesses workers(test_router(), {.accept = mode});
    workers.start(0);
    QCOMPARE(workers.stop(0), 0);
    std::vector<HttpClient> clients;
    for (int i = 0; i < 20; ++i) {
        clients.emplace_back(workers.address());
        clients.back().send(kGetHello);
    }
    workers.start(1);
    for (HttpClient& client : clients)
        QCOMPARE(client.read().status, 200);
}

void AcceptModesTest::a_drain_can_be_taken_back() {
    QFETCH(Accept, mode);
    WorkerProcesses worker(test_router(), {.accept = mode});
    worker.start();
    HttpClient busy(worker.address());
    busy.send("GET /slow?ms=3000 HTTP/1.1\r\nHost: h\r\n\r\n");
    QTRY_COMPARE(worker.seat().connections.load(), 1u);
    worker.signal(0, SIGTERM);
    QTRY_COMPARE(worker.seat().phase.load(), static_cast<std::uint32_t>(telemetry::Phase::draining));
    worker.resume(0);
    QTRY_VERIFY(worker.is_ready());
    for (int i = 0; i < 20; ++i)
        QCOMPARE(ask(worker.address(), kGetHello).status, 200);
    QCOMPARE(busy.read().status, 200);
}

void AcceptModesTest::kept_open_connections_spread_evenly() {
    WorkerProcesses workers(test_router(), {});
    workers.start(0);
    workers.start(2);
    const auto connect = [&](std::vector<HttpClient>& clients) {
        for (int i = 0; i < 100; ++i)
            clients.emplace_back(workers.address());
    };
    const auto open = [&](unsigned seat) { return workers.seat(seat).connections.load(); };
    const auto differ = [&] { return qAbs(static_cast<int>(open(0)) - static_cast<int>(open(2))); };
    std::vector<HttpClient> leaving;
    std::vector<HttpClient> staying;
    connect(leaving);
    connect(staying);
    QTRY_COMPARE(open(0) + open(2), 200u);
    QVERIFY2(differ() <= 6, qPrintable(QString::number(differ())));
    // Whoever has lost more catches up.
    leaving.clear();
    QTRY_COMPARE(open(0) + open(2), 100u);
    connect(leaving);
    QTRY_COMPARE(open(0) + open(2), 200u);
    QVERIFY2(differ() <= 6, qPrintable(QString::number(differ())));
}

/// Neither those that it was woken for and cannot take, nor those that come while nobody knows yet.
void AcceptModesTest::a_stopped_worker_leaves_connections_to_the_other() {
    QFETCH(Accept, mode);
    if (mode == Accept::reuseport) return;  // there the kernel chooses, whatever the workers do
    WorkerProcesses workers(test_router(), {.accept = mode});
    workers.start(0);
    workers.start(2);
    workers.pause(0);
    for (int i = 0; i < 40; ++i)
        QCOMPARE(ask(workers.address(), kGetHello).status, 200);
    workers.signal(0, SIGCONT);
}

void AcceptModesTest::the_others_serve_a_slot_that_has_lost_its_worker() {
    WorkerProcesses workers(test_router(), {.accept = Accept::reuseport});
    workers.start(0);
    workers.start(2);  // of slot 1
    QCOMPARE(workers.stop(2), 0);
    // The kernel goes on giving about half of them to its socket.
    for (int i = 0; i < 50; ++i)
        QCOMPARE(ask(workers.address(), kGetHello).status, 200);
    QCOMPARE(workers.seat(0).queues[0].pushed.load() + workers.seat(2).queues[0].pushed.load(), 50u);
}

void AcceptModesTest::unix_sockets_have_no_reuseport() {
    QVERIFY_EXCEPTION_THROWN(server::bind_listener("unix:/tmp/x.sock", {.accept = Accept::reuseport}, 0),
                             std::invalid_argument);
}

SERVER_TEST_MAIN(AcceptModesTest)
#include "test_accept_modes.moc"
