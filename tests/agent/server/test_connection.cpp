#include <signal.h>
#include <QTemporaryDir>
#include <QTest>
#include <thread>

#include "http_client.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

const std::string kGetHello = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

std::string get(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

}  // namespace

class ConnectionTest : public QObject {
    Q_OBJECT

private slots:
    void init() {
        worker_ = std::make_unique<WorkerProcesses>(test_router());
        worker_->start();
    }
    void cleanup() {
        QCOMPARE(worker_->stop(0), 0);
        worker_.reset();
    }

    void answers_a_request();
    void keeps_the_connection();
    void closes_when_the_client_or_the_handler_says_so();
    void keeps_an_http_1_0_connection_only_when_asked();
    void answers_pipelined_requests_in_order();
    void answers_pipelined_coroutines_in_order();
    void answers_many_coroutines_that_never_wait();
    void reads_a_request_byte_by_byte();
    void answers_head_without_a_body();
    void answers_404_and_405();
    void says_continue_when_the_client_waits_for_it();
    void answers_instead_of_saying_continue();
    void takes_a_large_body();
    void sends_a_large_response_to_a_slow_reader();
    void survives_a_client_that_goes_away_meanwhile();
    void answers_500_when_a_handler_throws();
    void answers_503_when_a_handlers_pool_is_full();
    void answers_a_client_that_has_half_closed();
    void listens_on_a_unix_socket();
    void counts_requests_and_connections();
    void every_answer_has_a_duration_and_a_refusal_has_none();

private:
    std::string address() const { return worker_->address(); }
    std::unique_ptr<WorkerProcesses> worker_;
};

void ConnectionTest::answers_a_request() {
    const Reply reply = ask(address(), kGetHello);
    QCOMPARE(reply.status, 200);
    QCOMPARE(reply.body, std::string("Hello!\n"));
    QCOMPARE(reply.header("content-type"), std::string("text/plain; charset=utf-8"));
    QCOMPARE(reply.header("date").size(), 29u);
    QCOMPARE(reply.header("connection"), std::string());
}

void ConnectionTest::keeps_the_connection() {
    HttpClient client(address());
    for (int i = 0; i < 100; ++i) {
        client.send(get("/query?" + std::to_string(i)));
        QCOMPARE(client.read().body, std::to_string(i));
    }
}

void ConnectionTest::closes_when_the_client_or_the_handler_says_so() {
    HttpClient client(address());
    client.send(get("/hello", "Connection: close\r\n"));
    QCOMPARE(client.read().header("connection"), std::string("close"));
    QVERIFY(client.ends());
    HttpClient other(address());
    other.send(get("/bye"));
    QCOMPARE(other.read().header("connection"), std::string("close"));
    QVERIFY(other.ends());
}

void ConnectionTest::keeps_an_http_1_0_connection_only_when_asked() {
    HttpClient client(address());
    client.send("GET /hello HTTP/1.0\r\n\r\n");
    QCOMPARE(client.read().header("connection"), std::string("close"));
    QVERIFY(client.ends());
    HttpClient other(address());
    for (int i = 0; i < 3; ++i) {
        other.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        QCOMPARE(other.read().header("connection"), std::string("keep-alive"));
    }
}

void ConnectionTest::answers_pipelined_requests_in_order() {
    std::string requests;
    for (int i = 0; i < 500; ++i)
        requests += i % 50 == 7 ? get("/large") : get("/query?" + std::to_string(i));
    HttpClient client(address());
    std::thread sender([&] { client.try_send(requests); });
    for (int i = 0; i < 500; ++i) {
        const Reply reply = client.read();
        if (i % 50 == 7)
            QCOMPARE(reply.body.size(), 8u << 20);
        else
            QCOMPARE(reply.body, std::to_string(i));
    }
    sender.join();
}

void ConnectionTest::answers_pipelined_coroutines_in_order() {
    HttpClient client(address());
    client.send(get("/slow?ms=60") + get("/query?a") + get("/slow?ms=1") + get("/query?b"));
    QVERIFY(client.read().body.starts_with("slow 127.0.0.1:"));
    QCOMPARE(client.read().body, std::string("a"));
    QVERIFY(client.read().body.starts_with("slow 127.0.0.1:"));
    QCOMPARE(client.read().body, std::string("b"));
}

void ConnectionTest::answers_many_coroutines_that_never_wait() {
    std::string requests;
    for (int i = 0; i < 5000; ++i)
        requests += get("/at-once?" + std::to_string(i));
    HttpClient client(address());
    std::thread sender([&] { client.try_send(requests); });
    for (int i = 0; i < 5000; ++i)
        QCOMPARE(client.read().body, std::to_string(i));
    sender.join();
}

void ConnectionTest::reads_a_request_byte_by_byte() {
    HttpClient client(address());
    for (const char c : std::string("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: x\r\n\r\n"))
        client.send({&c, 1});
    QCOMPARE(client.read().body, std::string("hello!"));
}

void ConnectionTest::answers_head_without_a_body() {
    HttpClient client(address());
    client.send("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n" + kGetHello);
    QCOMPARE(client.read(true).header("content-length"), std::string("7"));
    QCOMPARE(client.read().body, std::string("Hello!\n"));
}

void ConnectionTest::answers_404_and_405() {
    HttpClient client(address());
    client.send(get("/nowhere") + get("/echo") + kGetHello);
    QCOMPARE(client.read().status, 404);
    const Reply reply = client.read();
    QCOMPARE(reply.status, 405);
    QCOMPARE(reply.header("allow"), std::string("POST"));
    QCOMPARE(client.read().status, 200);
}

void ConnectionTest::says_continue_when_the_client_waits_for_it() {
    HttpClient client(address());
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    QCOMPARE(client.read().status, 100);
    client.send("hello");
    QCOMPARE(client.read().body, std::string("hello"));
    client.send("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    QCOMPARE(client.read().status, 200);  // the body is there already
}

void ConnectionTest::answers_instead_of_saying_continue() {
    for (const auto& [target, length, status] :
         {std::tuple("/nowhere", "5", 404), std::tuple("/hello", "5", 405),
          std::tuple("/echo", "99999999", 413)}) {
        HttpClient client(address());
        client.send(std::string("POST ") + target +
                    " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: " + length + "\r\n\r\n");
        const Reply reply = client.read();
        QCOMPARE(reply.status, status);
        QCOMPARE(reply.header("connection"), std::string("close"));
        QVERIFY(client.ends());
    }
}

void ConnectionTest::takes_a_large_body() {
    std::string body(8 << 20, '\0');
    for (std::size_t i = 0; i < body.size(); ++i)
        body[i] = static_cast<char>(i * 7 + i / 251);
    HttpClient client(address());
    for (int i = 0; i < 2; ++i) {
        client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\n\r\n" + body);
        QVERIFY(client.read().body == body);
    }
}

void ConnectionTest::sends_a_large_response_to_a_slow_reader() {
    HttpClient client(address(), 4096);
    client.send(get("/large") + kGetHello);
    QCOMPARE(ask(address(), kGetHello).status, 200);  // nobody is held up meanwhile
    QVERIFY(client.read().body == std::string(8 << 20, 'x'));
    QCOMPARE(client.read().body, std::string("Hello!\n"));
}

void ConnectionTest::survives_a_client_that_goes_away_meanwhile() {
    for (int i = 0; i < 20; ++i) {
        HttpClient client(address());
        client.send(i % 2 ? get("/slow?ms=20") : get("/large"));
    }
    HttpClient(address()).send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QCOMPARE(ask(address(), kGetHello).status, 200);
}

void ConnectionTest::answers_500_when_a_handler_throws() {
    HttpClient client(address());
    for (const char* target : {"/fail", "/fail-later", "/split"}) {
        client.send(get(target));
        const Reply reply = client.read();
        QCOMPARE(reply.status, 500);
        QCOMPARE(reply.body, std::string("500 Internal Server Error\n"));
        QVERIFY(reply.header("set-cookie").empty());
    }
    client.send(kGetHello);
    QCOMPARE(client.read().status, 200);
    QCOMPARE(worker_->seat().ring_head.load(), 3u);  // an event each
}

void ConnectionTest::answers_503_when_a_handlers_pool_is_full() {
    const Reply reply = ask(address(), get("/full"));
    QCOMPARE(reply.status, 503);
    QCOMPARE(reply.header("retry-after"), std::string("1"));
}

void ConnectionTest::answers_a_client_that_has_half_closed() {
    HttpClient client(address());
    client.send(get("/slow") + kGetHello);
    client.half_close();
    QCOMPARE(client.read().status, 200);
    QCOMPARE(client.read().status, 200);
    QVERIFY(client.ends());
}

void ConnectionTest::listens_on_a_unix_socket() {
    const QTemporaryDir directory;
    const std::string path = "unix:" + directory.filePath("hello.sock").toStdString();
    WorkerProcesses worker(test_router(), {}, path);
    worker.start();
    QCOMPARE(worker.address(), path);
    QCOMPARE(ask(path, kGetHello).status, 200);
    QCOMPARE(ask(path, get("/slow?ms=1")).body, std::string("slow unix\n"));
    QCOMPARE(worker.stop(0), 0);
}

void ConnectionTest::counts_requests_and_connections() {
    HttpClient client(address());
    client.send(kGetHello + get("/nowhere"));
    client.read();
    client.read();
    QCOMPARE(worker_->seat().requests.load(), 2u);
    QCOMPARE(worker_->seat().connections.load(), 1u);
    QCOMPARE(worker_->seat().queues[0].pushed.load(), 1u);
    QCOMPARE(worker_->seat().queues[0].capacity.load(), 512u);
    QTRY_VERIFY(worker_->seat().open_files.load() > 5);
}

void ConnectionTest::every_answer_has_a_duration_and_a_refusal_has_none() {
    QCOMPARE(ask(address(), get("/hello")).status, 200);
    QCOMPARE(ask(address(), get("/slow?ms=20")).status, 200);
    QCOMPARE(ask(address(), get("/fail")).status, 500);
    QCOMPARE(ask(address(), get("/nowhere")).status, 404);
    QCOMPARE(ask(address(), get("/echo")).status, 405);
    const std::string fields = "Host: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    QCOMPARE(ask(address(), "POST /nowhere HTTP/1.1\r\n" + fields).status, 404);
    QCOMPARE(ask(address(), "GET /hello HTTP/1.1\r\n\r\n").status, 400);
    QCOMPARE(worker_->seat().requests.load(), 7u);
    const auto durations = worker_->distribution("http_request_duration_seconds");
    QCOMPARE(durations.count(), 6u);
    QCOMPARE(durations.zeros(), 0u);
    QVERIFY(durations.min().value() > 0);
    QVERIFY(durations.max().value() >= 0.02);
}

SERVER_TEST_MAIN(ConnectionTest)
#include "test_connection.moc"
