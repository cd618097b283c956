#include <sys/socket.h>
#include <QTest>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <thread>

#include "http_client.hpp"
#include "server_test_main.hpp"
#include "shared_count.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

constexpr HttpLimits kLimits{
    .body = Bytes{1000}, .streamed_body = Bytes{100'000'000}, .body_deadline = std::chrono::seconds(60)};

std::string post(const std::string& target, const std::string& fields, const std::string& body = "") {
    return "POST " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body;
}

std::string with_length(std::size_t length) {
    return "Content-Length: " + std::to_string(length) + "\r\n";
}

const std::string kChunked = "Transfer-Encoding: chunked\r\n";
const std::string kGetHello = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

/// "LENGTH SUM OF THE BYTES announced LENGTH"
awaitable<Response> sum(Request, RequestBody& body) {
    std::uint64_t bytes = 0;
    std::uint64_t total = 0;
    for (std::string_view piece = co_await body.read(); !piece.empty(); piece = co_await body.read()) {
        if (piece.size() > 65536) throw std::logic_error("a piece that is too long");
        bytes += piece.size();
        for (const char c : piece)
            total += static_cast<unsigned char>(c);
    }
    const std::string announced = body.length() ? std::to_string(*body.length()) : "nothing";
    co_return Response::text(std::to_string(bytes) + ' ' + std::to_string(total) + " announced " + announced);
}

awaitable<Response> refuse(Request, RequestBody&) {
    co_return Response::text("not you\n", 403);
}

awaitable<Response> first_piece(Request, RequestBody& body) {
    const std::string_view piece = co_await body.read();
    co_return Response::text(std::string(piece.substr(0, 5)));
}

awaitable<Response> caught(Request, RequestBody& body) {
    try {
        for (auto piece = co_await body.read(); !piece.empty();)
            piece = co_await body.read();
    } catch (const boost::system::system_error&) {
        co_return Response::text("caught\n", 422);
    }
    co_return Response::text("whole\n");
}

awaitable<Response> fail(Request, RequestBody& body) {
    co_await body.read();
    throw std::runtime_error("the handler's reason");
}

}  // namespace

class RequestBodyTest : public QObject {
    Q_OBJECT

private slots:
    void init() { start(kLimits); }
    void cleanup() {
        QCOMPARE(worker_->stop(0), 0);
        worker_.reset();
    }

    void a_handler_reads_a_body_of_any_framing_data();
    void a_handler_reads_a_body_of_any_framing();
    void a_body_may_be_longer_than_one_that_is_kept_whole();
    void too_long_a_body_is_refused();
    void a_malformed_chunk_is_refused_in_the_middle();
    void a_handler_may_answer_a_refused_body_itself();
    void a_handler_that_throws_is_answered_500();
    void other_routes_keep_their_limit();
    void continue_is_said_when_the_handler_reads();
    void a_handler_that_does_not_read_is_answered_without_continue();
    void what_is_unread_but_here_is_skipped();
    void what_is_unread_and_still_to_come_ends_the_connection();
    void a_handler_that_does_not_read_holds_the_client_up();
    void a_client_that_stops_is_answered_408();
    void a_client_that_goes_on_slowly_is_not();
    void a_client_that_goes_away_is_noticed();

private:
    void start(const HttpLimits& limits) {
        Router router = test_router();
        router.post("/sum", sum).post("/refuse", refuse).post("/first", first_piece);
        router.post("/caught", caught).post("/fail", fail);
        router.post("/wait", [this](Request, RequestBody& body) { return wait(body); });
        worker_.reset();
        worker_ = std::make_unique<WorkerProcesses>(std::move(router), ListenerOptions{.limits = limits});
        worker_->start();
    }
    /// Reads nothing until it is told to.
    awaitable<Response> wait(RequestBody& body) {
        ++*waiting_;
        boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
        while (*go_ == 0) {
            timer.expires_after(5ms);
            co_await timer.async_wait(boost::asio::use_awaitable);
        }
        std::size_t bytes = 0;
        for (auto piece = co_await body.read(); !piece.empty(); piece = co_await body.read())
            bytes += piece.size();
        co_return Response::text(std::to_string(bytes));
    }
    std::string address() const { return worker_->address(); }

    SharedCount waiting_;
    SharedCount go_;
    std::unique_ptr<WorkerProcesses> worker_;
};

void RequestBodyTest::a_handler_reads_a_body_of_any_framing_data() {
    QTest::addColumn<QByteArray>("request");
    QTest::addColumn<QByteArray>("answer");
    const auto row = [](const char* name, const std::string& request, const char* answer) {
        QTest::newRow(name) << QByteArray::fromStdString(request) << QByteArray(answer);
    };
    row("length", post("/sum", with_length(3), "abc"), "3 294 announced 3");
    row("chunks", post("/sum", kChunked, "1\r\na\r\n2;x=y\r\nbc\r\n0\r\nT: u\r\n\r\n"),
        "3 294 announced nothing");
    row("length 0", post("/sum", with_length(0)), "0 0 announced 0");
    row("no chunk", post("/sum", kChunked, "0\r\n\r\n"), "0 0 announced nothing");
    row("nothing", post("/sum", ""), "0 0 announced 0");
}

void RequestBodyTest::a_handler_reads_a_body_of_any_framing() {
    QFETCH(QByteArray, request);
    QFETCH(QByteArray, answer);
    const std::string bytes = request.toStdString();
    HttpClient client(address());
    client.send(bytes + bytes + kGetHello);
    for (int i = 0; i < 2; ++i)
        QCOMPARE(client.read().body, answer.toStdString());
    QCOMPARE(client.read().status, 200);
    for (const char c : bytes)
        client.send({&c, 1});
    QCOMPARE(client.read().body, answer.toStdString());
}

void RequestBodyTest::a_body_may_be_longer_than_one_that_is_kept_whole() {
    const std::string mebibyte(1 << 20, '\1');
    HttpClient client(address());
    client.send(post("/sum", with_length(50 << 20)));
    for (int i = 0; i < 50; ++i)
        client.send(mebibyte);
    QCOMPARE(client.read().body, std::string("52428800 52428800 announced 52428800"));
    client.send(post("/sum", kChunked));
    for (int i = 0; i < 20; ++i)
        client.send("100000\r\n" + mebibyte + "\r\n");
    client.send("0\r\n\r\n");
    QCOMPARE(client.read().body, std::string("20971520 20971520 announced nothing"));
}

void RequestBodyTest::too_long_a_body_is_refused() {
    for (const std::string& request :
         {post("/sum", with_length(100'000'001)), post("/sum", kChunked, "1\r\na\r\n5f5e100\r\n"),
          post("/sum", with_length(100'000'001) + "Expect: 100-continue\r\n")}) {
        HttpClient client(address());
        client.send(request);
        const Reply reply = client.read();
        QCOMPARE(reply.status, 413);
        QCOMPARE(reply.header("connection"), std::string("close"));
        QVERIFY(client.ends());
    }
}

void RequestBodyTest::a_malformed_chunk_is_refused_in_the_middle() {
    HttpClient client(address());
    client.send(post("/sum", kChunked, "1\r\na\r\nx\r\n") + kGetHello);
    QCOMPARE(client.read().status, 400);
    QVERIFY(client.ends());
    QCOMPARE(worker_->seat().ring_head.load(), 0u);  // not the handler's failure
}

void RequestBodyTest::a_handler_may_answer_a_refused_body_itself() {
    HttpClient client(address());
    client.send(post("/caught", kChunked, "1\r\na\r\nx\r\n") + kGetHello);
    const Reply reply = client.read();
    QCOMPARE(reply.status, 422);
    QCOMPARE(reply.header("connection"), std::string("close"));
    QVERIFY(client.ends());
}

void RequestBodyTest::a_handler_that_throws_is_answered_500() {
    HttpClient client(address());
    client.send(post("/fail", with_length(3), "abc") + kGetHello);
    QCOMPARE(client.read().status, 500);
    QCOMPARE(client.read().status, 200);
    QCOMPARE(worker_->seat().ring_head.load(), 1u);
}

void RequestBodyTest::other_routes_keep_their_limit() {
    QCOMPARE(ask(address(), post("/echo", with_length(1001))).status, 413);
    QCOMPARE(ask(address(), post("/echo", with_length(1001) + "Expect: 100-continue\r\n")).status, 413);
    QCOMPARE(ask(address(), post("/echo", kChunked, "3e9\r\n")).status, 413);
    QCOMPARE(ask(address(), post("/echo", with_length(1000), std::string(1000, 'x'))).status, 200);
    QCOMPARE(ask(address(), post("/nowhere", with_length(5), "hello")).status, 404);
}

void RequestBodyTest::continue_is_said_when_the_handler_reads() {
    HttpClient client(address());
    for (int i = 0; i < 2; ++i) {
        client.send(post("/sum", with_length(3) + "Expect: 100-continue\r\n"));
        QCOMPARE(client.read().status, 100);
        client.send("ab");
        client.send("c");
        QCOMPARE(client.read().body, std::string("3 294 announced 3"));
    }
}

void RequestBodyTest::a_handler_that_does_not_read_is_answered_without_continue() {
    HttpClient client(address());
    client.send(post("/refuse", with_length(3) + "Expect: 100-continue\r\n"));
    const Reply reply = client.read();
    QCOMPARE(reply.status, 403);
    QCOMPARE(reply.header("connection"), std::string("close"));
    QVERIFY(client.ends());
}

void RequestBodyTest::what_is_unread_but_here_is_skipped() {
    HttpClient client(address());
    client.send(post("/refuse", with_length(5), "hello") + post("/refuse", kChunked, "1\r\na\r\n0\r\n\r\n") +
                kGetHello);
    QCOMPARE(client.read().status, 403);
    QCOMPARE(client.read().status, 403);
    QCOMPARE(client.read().body, std::string("Hello!\n"));
}

void RequestBodyTest::what_is_unread_and_still_to_come_ends_the_connection() {
    HttpClient client(address());
    client.send(post("/first", with_length(1'000'000), "hello"));
    const Reply reply = client.read();
    QCOMPARE(reply.body, std::string("hello"));
    QCOMPARE(reply.header("connection"), std::string("close"));
    client.try_send(std::string(100'000, 'x'));
    QVERIFY(client.ends());
}

void RequestBodyTest::a_handler_that_does_not_read_holds_the_client_up() {
    constexpr std::size_t kLength = 90'000'000;
    *go_ = *waiting_ = 0;
    HttpClient client(address());
    client.send(post("/wait", with_length(kLength)));
    QTRY_COMPARE_WITH_TIMEOUT((*waiting_).load(), 1u, 20'000);
    const std::string piece(1'000'000, 'x');
    std::size_t sent = 0;
    ssize_t taken = 1;
    while (sent < kLength &&
           (taken = ::send(client.descriptor(), piece.data(), std::min(piece.size(), kLength - sent),
                           MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        sent += static_cast<std::size_t>(taken);
    QVERIFY(sent < kLength / 2);
    *go_ = 1;
    for (; sent < kLength; sent += std::min(piece.size(), kLength - sent))
        client.send(std::string_view(piece).substr(0, kLength - sent));
    QCOMPARE(client.read().body, std::to_string(kLength));
}

void RequestBodyTest::a_client_that_stops_is_answered_408() {
    start({.body_deadline = 300ms});
    for (const char* target : {"/sum", "/caught"}) {
        HttpClient client(address());
        client.send(post(target, with_length(5), "he"));
        QCOMPARE(client.read().status, target == std::string("/sum") ? 408 : 422);
        QVERIFY(client.ends());
    }
}

void RequestBodyTest::a_client_that_goes_on_slowly_is_not() {
    start({.body_deadline = 1000ms});
    HttpClient client(address());
    client.send(post("/sum", with_length(30)));
    const auto begin = std::chrono::steady_clock::now();
    int sent = 0;
    for (; std::chrono::steady_clock::now() < begin + 1500ms && sent < 29; ++sent) {
        client.send("\1");
        QTest::qWait(50);
    }
    client.send(std::string(static_cast<std::size_t>(30 - sent), '\1'));
    QCOMPARE(client.read().body, std::string("30 30 announced 30"));
}

void RequestBodyTest::a_client_that_goes_away_is_noticed() {
    HttpClient(address()).send(post("/sum", with_length(5), "he"));
    HttpClient(address()).send(post("/caught", with_length(5), "he"));
    HttpClient(address()).send(post("/caught", with_length(5) + "Expect: 100-continue\r\n"));
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QCOMPARE(ask(address(), kGetHello).status, 200);
    QCOMPARE(worker_->seat().ring_head.load(), 0u);
}

SERVER_TEST_MAIN(RequestBodyTest)
#include "test_request_body.moc"
