#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <QTest>

#include "http_client.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

const std::string kGetHello = "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// Keeps the worker's event loop busy from when this returns.
HttpClient occupy(WorkerProcesses& worker, int milliseconds) {
    HttpClient client(worker.address());
    client.send("GET /spin?ms=" + std::to_string(milliseconds) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (worker.seat().activity.length.load() == 0 && std::chrono::steady_clock::now() < limit)
        QTest::qSleep(1);
    return client;
}

/// Some 25 connections, and it has no descriptor left.
void start_with_few_descriptors(WorkerProcesses& worker) {
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit few{.rlim_cur = 40, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    worker.start();
    ::setrlimit(RLIMIT_NOFILE, &before);
}

std::chrono::nanoseconds processor_time(pid_t process) {
    clockid_t clock{};
    timespec used{};
    ::clock_getcpuclockid(process, &clock);
    ::clock_gettime(clock, &used);
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

/// Connections that were closed because descriptors ran short.
std::uint64_t made_way(WorkerProcesses& worker) {
    return worker.counter("connections_shed_total", {{"reason", "to_make_room"}});
}

/// Whether it uses less than a tenth of the time.
bool is_idle(WorkerProcesses& worker, std::chrono::milliseconds during) {
    const pid_t process = static_cast<pid_t>(worker.seat().pid.load());
    const auto before = processor_time(process);
    QTest::qSleep(static_cast<int>(during.count()));
    return processor_time(process) - before < during / 10;
}

/// -fsanitize=vptr opens a pipe to probe the memory of each vtable that it meets for the first time. Without a
/// free descriptor it cannot, and reports "object has invalid vptr": a process that it checks must not run
/// out.
#ifdef SIGNALBOX_SANITIZES_VPTR
#define SKIP_IF_DESCRIPTORS_MUST_NOT_RUN_OUT() QSKIP("the vptr sanitizer itself needs descriptors")
#else
#define SKIP_IF_DESCRIPTORS_MUST_NOT_RUN_OUT()
#endif

}  // namespace

class SheddingTest : public QObject {
    Q_OBJECT

private slots:
    void a_full_queue_sheds_and_answers_every_attempt();
    void what_waited_too_long_is_shed();
    void a_stuck_worker_leaves_connections_to_the_others();
    void a_stuck_worker_leaves_connections_to_one_that_is_a_little_late();
    void running_out_of_descriptors_is_answered();
    void a_worker_without_descriptors_waits_idly();
    void serves_again_when_descriptors_come_free();
    void those_that_wait_longest_make_way_for_others();
};

void SheddingTest::a_full_queue_sheds_and_answers_every_attempt() {
    WorkerProcesses worker(test_router(), {.queue_capacity = 8, .queue_deadline = 60s});
    worker.start();
    HttpClient spinning = occupy(worker, 1000);
    std::vector<HttpClient> clients;
    for (int i = 0; i < 60; ++i) {
        clients.emplace_back(worker.address());
        clients.back().try_send(kGetHello);
    }
    // Shed at once, while the loop is still busy.
    QTRY_COMPARE_WITH_TIMEOUT(worker.seat().queues[0].shed.load(), 52u, 20'000);
    QCOMPARE(worker.waiting(), 8u);
    QVERIFY(worker.seat().queues[0].oldest_monotonic_ns.load() != 0);
    int served = 0;
    int shed = 0;
    for (HttpClient& client : clients) {
        const Reply reply = client.read();
        (reply.status == 200 ? served : shed) += 1;
        if (reply.status == 200) continue;
        QCOMPARE(reply.status, 503);
        QCOMPARE(reply.header("retry-after"), std::string("1"));
        QVERIFY(client.ends());
    }
    QCOMPARE(served, 8);
    QCOMPARE(shed, 52);
    QCOMPARE(spinning.read().status, 200);
    QCOMPARE(worker.waiting(), 0u);
    QCOMPARE(worker.seat().queues[0].oldest_monotonic_ns.load(), 0u);
    QCOMPARE(ask(worker.address(), kGetHello).status, 200);
}

void SheddingTest::what_waited_too_long_is_shed() {
    WorkerProcesses worker(test_router(), {.queue_deadline = 200ms});
    worker.start();
    HttpClient spinning = occupy(worker, 800);
    HttpClient waiting(worker.address());
    waiting.send(kGetHello);
    const Reply reply = waiting.read();
    QCOMPARE(reply.status, 503);
    QCOMPARE(reply.header("retry-after"), std::string("1"));
    QVERIFY(waiting.ends());
    QCOMPARE(spinning.read().status, 200);
    QCOMPARE(worker.seat().queues[0].shed.load(), 1u);
    QCOMPARE(ask(worker.address(), kGetHello).status, 200);
}

void SheddingTest::a_stuck_worker_leaves_connections_to_the_others() {
    WorkerProcesses workers(test_router());
    workers.start(0);
    workers.start(2);
    workers.pause(2);  // so that the first one gets the spinning request
    HttpClient spinning = occupy(workers, 5'000);
    workers.signal(2, SIGCONT);
    QTest::qWait(600);  // not a condition: how long the first has been stuck is what is tested
    const std::uint64_t before = workers.seat(0).queues[0].pushed.load();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i)
        QCOMPARE(ask(workers.address(), kGetHello).status, 200);
    QVERIFY(std::chrono::steady_clock::now() - begin < 3s);
    QCOMPARE(workers.seat(0).queues[0].pushed.load(), before);
}

/// As every worker is now and then on a machine that is short of processor time.
void SheddingTest::a_stuck_worker_leaves_connections_to_one_that_is_a_little_late() {
    WorkerProcesses workers(test_router());
    workers.start(0);
    workers.start(2);
    workers.pause(2);  // so that the first one gets the spinning request
    HttpClient spinning = occupy(workers, 10'000);
    workers.signal(2, SIGCONT);
    QTest::qWait(2'000);  // not a condition: how long the first has been stuck is what is tested
    const std::uint64_t before = workers.seat(0).queues[0].pushed.load();
    workers.pause(2);
    QTest::qWait(400);  // likewise
    std::vector<HttpClient> clients;
    for (int i = 0; i < 5; ++i) {
        clients.emplace_back(workers.address());
        clients.back().send(kGetHello);
    }
    QTest::qWait(100);  // in which the stuck one might accept
    workers.signal(2, SIGCONT);
    for (HttpClient& client : clients)
        QCOMPARE(client.read().status, 200);
    QCOMPARE(workers.seat(0).queues[0].pushed.load(), before);
}

void SheddingTest::running_out_of_descriptors_is_answered() {
    SKIP_IF_DESCRIPTORS_MUST_NOT_RUN_OUT();
    WorkerProcesses worker(test_router());
    start_with_few_descriptors(worker);
    std::vector<HttpClient> clients;
    for (int i = 0; i < 60; ++i)
        clients.emplace_back(worker.address());
    std::uint64_t shed = 0;
    for (HttpClient& client : clients) {
        // A client that was turned away may notice that only when it has the answer.
        client.try_send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
        const Reply reply = client.read();
        if (reply.status == 200) continue;
        if (reply.status == 0 && made_way(worker) > 0)
            continue;  // a slow machine: it had waited for a second
        QCOMPARE(reply.status, 503);
        QCOMPARE(reply.header("retry-after"), std::string("1"));
        QVERIFY(client.ends());
        ++shed;
    }
    QVERIFY(shed > 0 && shed < 60);
    QCOMPARE(worker.seat().queues[0].shed.load(), shed);
    QTRY_COMPARE_WITH_TIMEOUT(worker.seat().connections.load() + made_way(worker), 60 - shed, 20'000);
    QCOMPARE(worker.stop(0), 0);
}

void SheddingTest::a_worker_without_descriptors_waits_idly() {
    SKIP_IF_DESCRIPTORS_MUST_NOT_RUN_OUT();
    WorkerProcesses worker(test_router());
    start_with_few_descriptors(worker);
    std::vector<HttpClient> clients;
    for (int i = 0; i < 60; ++i)
        clients.emplace_back(worker.address());
    QTRY_VERIFY_WITH_TIMEOUT(is_idle(worker, 500ms), 20'000);
    QVERIFY(worker.seat().queues[0].shed.load() > 0);
}

void SheddingTest::serves_again_when_descriptors_come_free() {
    SKIP_IF_DESCRIPTORS_MUST_NOT_RUN_OUT();
    WorkerProcesses worker(test_router());
    start_with_few_descriptors(worker);
    for (int round = 0; round < 5; ++round) {
        const std::uint64_t served_before = worker.seat().queues[0].pushed.load();
        const std::uint64_t made_way_before = made_way(worker);
        std::vector<HttpClient> clients;
        for (int i = 0; i < 60; ++i)
            clients.emplace_back(worker.address());
        QCOMPARE(clients.back().read().status, 503);
        const std::uint64_t served = worker.seat().queues[0].pushed.load() - served_before;
        QTRY_COMPARE_WITH_TIMEOUT(worker.seat().connections.load() + made_way(worker) - made_way_before,
                                  served, 20'000);
        clients.clear();
        QTRY_COMPARE_WITH_TIMEOUT(worker.seat().connections.load(), 0u, 20'000);
        for (int i = 0; i < 50; ++i)
            QCOMPARE(ask(worker.address(), kGetHello).status, 200);
        QTRY_COMPARE_WITH_TIMEOUT(worker.seat().connections.load(), 0u, 20'000);
    }
}

void SheddingTest::those_that_wait_longest_make_way_for_others() {
    SKIP_IF_DESCRIPTORS_MUST_NOT_RUN_OUT();
    WorkerProcesses worker(test_router());
    start_with_few_descriptors(worker);
    // Silent ones, one that is in the middle of a header, and one that is answered later.
    std::vector<HttpClient> waiting;
    waiting.emplace_back(worker.address());
    waiting.back().send("GET /hello HTTP/1.1\r\n");
    HttpClient busy(worker.address());
    busy.send("GET /spin?ms=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    QCOMPARE(busy.read().status, 200);
    busy.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n1");
    for (int i = 0; i < 60; ++i)
        waiting.emplace_back(worker.address());
    // Others are served then.
    const auto served = [&] { return ask(worker.address(), kGetHello).status == 200; };
    QTRY_VERIFY_WITH_TIMEOUT(served(), 20'000);
    QVERIFY(made_way(worker) > 0);
    QCOMPARE(waiting.front().read().status, 503);
    QVERIFY(waiting.front().ends());
    busy.send("2");
    QCOMPARE(busy.read().status, 200);
}

SERVER_TEST_MAIN(SheddingTest)
#include "test_shedding.moc"
