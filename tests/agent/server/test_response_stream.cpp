#include <signal.h>
#include <QTest>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <system_error>

#include "http_client.hpp"
#include "server_test_main.hpp"
#include "shared_count.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kFlood = 64 << 20;

std::string get(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

awaitable<void> ticks(ResponseStream& out) {
    for (int i = 0; !out.stopping(); ++i) {
        co_await out.write("data: " + std::to_string(i) + "\n\n");
        co_await out.pause(1ms);
    }
    co_await out.write("data: bye\n\n");
}

awaitable<void> one_tick_an_hour(ResponseStream& out) {
    while (!out.stopping()) {
        co_await out.write("data: 0\n\n");
        co_await out.pause(1h);
    }
}

awaitable<void> three(ResponseStream& out) {
    co_await out.write("one");
    co_await out.write("");
    co_await out.write("two");
    co_await out.write("three");
}

awaitable<void> nothing(ResponseStream&) {
    co_return;
}

awaitable<void> fail(ResponseStream& out) {
    co_await out.write("begun");
    co_await out.pause(1ms);
    throw std::runtime_error("the producer's reason");
}

awaitable<void> fail_at_once(ResponseStream&) {
    throw std::runtime_error("no beginning");
    co_return;
}

awaitable<void> long_piece(ResponseStream& out) {
    co_await out.write(std::string(1'000'000, 'x'));
}

}  // namespace

class ResponseStreamTest : public QObject {
    Q_OBJECT

private slots:
    void init() { start({}); }
    void cleanup() {
        if (worker_) QCOMPARE(worker_->stop(0), 0);
        worker_.reset();
    }

    void what_is_written_comes_in_chunks();
    void each_piece_arrives_before_the_next_is_made();
    void an_empty_stream_has_a_last_chunk_only();
    void a_long_piece_is_cut();
    void http_1_0_reads_up_to_the_end();
    void head_has_the_header_and_no_producer();
    void the_connection_goes_on_afterwards();
    void streams_of_several_clients_do_not_wait_for_each_other();
    void a_slow_reader_holds_its_producer_up();
    void a_fast_reader_leaves_others_their_turn();
    void a_producer_is_told_that_its_client_has_gone();
    void a_reader_that_stops_is_given_up();
    void a_producer_that_throws_ends_the_connection_without_a_last_chunk();
    void a_body_without_framing_is_reset_when_its_producer_throws();
    void a_draining_worker_tells_its_streams_to_end();
    void a_worker_may_end_in_the_middle_of_them();

private:
    void start(const ListenerOptions& options) {
        Router router = test_router();
        router.get("/ticks", [this](const Request&) {
            ++*begun_;
            return Response::stream("text/event-stream", ticks);
        });
        for (const auto& [path, producer] :
             {std::pair("/hourly", &one_tick_an_hour), std::pair("/three", &three),
              std::pair("/nothing", &nothing), std::pair("/fail-stream", &fail),
              std::pair("/fail-at-once", &fail_at_once), std::pair("/long", &long_piece)})
            router.get(path, [f = producer](const Request&) { return Response::stream("text/plain", f); });
        router.get("/flood", [this](const Request&) {
            return Response::stream("text/plain", [this](ResponseStream& out) { return flood(out); });
        });
        worker_.reset();
        worker_ = std::make_unique<WorkerProcesses>(std::move(router), options);
        worker_->start();
    }
    awaitable<void> flood(ResponseStream& out) {
        const std::string piece(100'000, 'x');
        try {
            for (std::size_t written = 0; written < kFlood; written += piece.size()) {
                co_await out.write(std::string_view(piece).substr(0, kFlood - written));
                *flooded_ += piece.size();
            }
        } catch (const boost::system::system_error&) {
            ++*gone_;
            throw;
        }
    }
    std::string address() const { return worker_->address(); }

    SharedCount begun_;
    SharedCount flooded_;
    SharedCount gone_;
    std::unique_ptr<WorkerProcesses> worker_;
};

void ResponseStreamTest::what_is_written_comes_in_chunks() {
    HttpClient client(address());
    client.send(get("/three"));
    const Reply header = client.read_header();
    QCOMPARE(header.status, 200);
    QCOMPARE(header.header("transfer-encoding"), std::string("chunked"));
    QCOMPARE(header.header("content-type"), std::string("text/plain"));
    QVERIFY(header.header("content-length").empty());
    for (const char* chunk : {"one", "two", "three", ""})
        QCOMPARE(client.read_chunk(), std::string(chunk));
}

void ResponseStreamTest::each_piece_arrives_before_the_next_is_made() {
    HttpClient client(address());
    client.send(get("/hourly"));
    client.read_header();
    QCOMPARE(client.read_chunk(), std::string("data: 0\n\n"));
}

void ResponseStreamTest::an_empty_stream_has_a_last_chunk_only() {
    HttpClient client(address());
    client.send(get("/nothing"));
    QCOMPARE(client.read_header().status, 200);
    QCOMPARE(client.read_chunk(), std::string());
}

void ResponseStreamTest::a_long_piece_is_cut() {
    HttpClient client(address());
    client.send(get("/long"));
    client.read_header();
    std::size_t total = 0;
    for (std::string chunk = client.read_chunk(); !chunk.empty(); chunk = client.read_chunk()) {
        QVERIFY(chunk.size() <= 65536);
        total += chunk.size();
    }
    QCOMPARE(total, 1'000'000u);
}

void ResponseStreamTest::http_1_0_reads_up_to_the_end() {
    for (const char* connection : {"", "Connection: keep-alive\r\n"}) {
        HttpClient client(address());
        client.send(std::string("GET /three HTTP/1.0\r\n") + connection + "\r\n");
        const Reply header = client.read_header();
        QCOMPARE(header.header("transfer-encoding"), std::string());
        QCOMPARE(header.header("connection"), std::string("close"));
        QCOMPARE(client.read_rest(), std::string("onetwothree"));
    }
}

void ResponseStreamTest::head_has_the_header_and_no_producer() {
    HttpClient client(address());
    const std::uint64_t before = *begun_;
    client.send("HEAD /ticks HTTP/1.1\r\nHost: h\r\n\r\n" + get("/hello"));
    QCOMPARE(client.read(true).header("content-type"), std::string("text/event-stream"));
    QCOMPARE(client.read().body, std::string("Hello!\n"));
    QCOMPARE((*begun_).load(), before + 1);
}

void ResponseStreamTest::the_connection_goes_on_afterwards() {
    HttpClient client(address());
    for (int i = 0; i < 20; ++i)
        client.send(get("/three") + get("/hello") + get("/nothing") + get("/slow?ms=1"));
    for (int i = 0; i < 20; ++i) {
        QCOMPARE(client.read().body, std::string("onetwothree"));
        QCOMPARE(client.read().body, std::string("Hello!\n"));
        QCOMPARE(client.read().body, std::string());
        QVERIFY(client.read().body.starts_with("slow"));
    }
}

void ResponseStreamTest::streams_of_several_clients_do_not_wait_for_each_other() {
    std::vector<HttpClient> clients;
    for (int i = 0; i < 10; ++i) {
        clients.emplace_back(address());
        clients.back().send(get("/ticks"));
    }
    for (HttpClient& client : clients)
        client.read_header();
    for (int i = 0; i < 20; ++i)
        for (HttpClient& client : clients)
            QCOMPARE(client.read_chunk(), "data: " + std::to_string(i) + "\n\n");
}

void ResponseStreamTest::a_slow_reader_holds_its_producer_up() {
    *flooded_ = 0;
    HttpClient client(address(), 4096);
    client.send(get("/flood"));
    client.read_header();
    client.read_chunk();
    QCOMPARE(ask(address(), get("/hello")).status, 200);
    QVERIFY(*flooded_ < kFlood / 2);
    std::size_t total = 0;
    for (std::string chunk = client.read_chunk(); !chunk.empty(); chunk = client.read_chunk())
        total += chunk.size();
    QVERIFY(total > kFlood / 2);
    QVERIFY(*flooded_ >= kFlood);
}

void ResponseStreamTest::a_fast_reader_leaves_others_their_turn() {
    HttpClient first(address());
    first.send(get("/flood"));
    first.read_header();
    for (int i = 0; i < 20; ++i) {
        for (int chunk = 0; chunk < 10; ++chunk)
            QVERIFY(!first.read_chunk().empty());
        QCOMPARE(ask(address(), get("/hello")).status, 200);
    }
}

void ResponseStreamTest::a_producer_is_told_that_its_client_has_gone() {
    *gone_ = 0;
    {
        HttpClient client(address());
        client.send(get("/flood"));
        client.read_header();
    }
    QTRY_COMPARE_WITH_TIMEOUT((*gone_).load(), 1u, 20'000);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QCOMPARE(worker_->seat().ring_head.load(), 0u);  // that is nobody's failure
    {
        HttpClient client(address());
        client.send(get("/ticks"));
        client.read_header();
    }
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
}

void ResponseStreamTest::a_reader_that_stops_is_given_up() {
    start({.limits = {.write_deadline = 300ms}});
    *gone_ = 0;
    HttpClient client(address(), 4096);
    client.send(get("/flood"));
    QTRY_COMPARE_WITH_TIMEOUT((*gone_).load(), 1u, 20'000);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
}

void ResponseStreamTest::a_producer_that_throws_ends_the_connection_without_a_last_chunk() {
    HttpClient client(address());
    client.send(get("/fail-stream"));
    QCOMPARE(client.read_header().status, 200);
    QCOMPARE(client.read_chunk(), std::string("begun"));
    QVERIFY(client.ends());
    HttpClient other(address());
    other.send(get("/fail-at-once"));
    QCOMPARE(other.read_header().status, 200);
    QVERIFY(other.ends());
    QCOMPARE(worker_->seat().ring_head.load(), 2u);  // an event each
}

void ResponseStreamTest::a_body_without_framing_is_reset_when_its_producer_throws() {
    HttpClient client(address());
    client.send("GET /fail-stream HTTP/1.0\r\n\r\n");
    QVERIFY_EXCEPTION_THROWN(client.read_rest(), std::system_error);
}

void ResponseStreamTest::a_draining_worker_tells_its_streams_to_end() {
    HttpClient ticking(address());
    HttpClient waiting(address());
    ticking.send(get("/ticks"));
    waiting.send(get("/hourly"));
    ticking.read_header();
    waiting.read_header();
    QCOMPARE(waiting.read_chunk(), std::string("data: 0\n\n"));
    worker_->signal(0, SIGTERM);
    std::string last;
    for (std::string chunk = ticking.read_chunk(); !chunk.empty(); chunk = ticking.read_chunk())
        last = chunk;
    QCOMPARE(last, std::string("data: bye\n\n"));
    QCOMPARE(waiting.read_chunk(), std::string());
    QCOMPARE(worker_->wait(0), 0);
    worker_.reset();
}

void ResponseStreamTest::a_worker_may_end_in_the_middle_of_them() {
    HttpClient waiting(address());
    HttpClient held_up(address(), 4096);
    waiting.send(get("/hourly"));
    held_up.send(get("/flood"));
    waiting.read_header();
    waiting.read_chunk();
    held_up.read_header();
    worker_->signal(0, SIGQUIT);
    QCOMPARE(worker_->wait(0), 0);
    QVERIFY(waiting.ends());
    worker_.reset();
}

SERVER_TEST_MAIN(ResponseStreamTest)
#include "test_response_stream.moc"
