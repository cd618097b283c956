// WebSockets under Beast's client, curl's handshakes, and frames written byte by byte.
#define QT_NO_EMIT  // Asio has members of that name
#include <signal.h>

#include <QTest>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <set>

#include "agent/server/address.hpp"
#include "agent/telemetry/view.hpp"
#include "http_client.hpp"
#include "server_test_main.hpp"
#include "tests/support/certificates.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

namespace {

awaitable<void> pause(std::chrono::milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(time);
    co_await timer.async_wait(asio::use_awaitable);
}

/// Answers each message, some in their own way.
awaitable<void> talk(const Request& request, WebSocket socket) {
    using namespace asio::experimental::awaitable_operators;
    for (auto message = co_await socket.read(); message; message = co_await socket.read()) {
        const std::string data(message->data);
        socket.begin_request(data);
        if (data == "who") {
            const std::string answer = request.peer + " " + request.path + " " + socket.protocol() + " " +
                                       (request.tls ? request.tls->client_subject : "plain");
            co_await socket.write(answer);
        } else if (data == "fail") {
            throw std::runtime_error("the handler's reason");
        } else if (data == "close") {
            socket.close(4000, "enough");
        } else if (data == "quit") {
            co_return;
        } else if (data == "flood") {
            const std::string much(64 << 20, 'x');
            co_await socket.write(much);
        } else if (data == "interrupt") {
            for (bool read = false; !read;) {
                const auto either = co_await (socket.read() || pause(5ms));
                if (either.index() != 0) continue;
                const std::string answer(std::get<0>(either)->data);
                co_await socket.write(answer);
                read = true;
            }
        } else if (data == "three at once") {
            co_await (socket.write("one") && socket.write("two") && socket.write("three"));
        } else if (data == "drain") {
            co_await socket.until_draining();
            co_await socket.write("drained");
        } else if (data == "sleep") {
            co_await pause(60s);
        } else if (message->text) {
            co_await socket.write(data);
        } else {
            co_await socket.write_binary(data);
        }
    }
}

Router router() {
    Router router;
    router.get("/hello", [](const Request&) { return Response::text("Hello!\n"); });
    router.websocket("/talk", talk);
    router.websocket("/rooms/:room", talk, {.protocols = {"chat.v2", "chat.v1"}});
    router.websocket("/small", talk,
                     {.message = Bytes{1000},
                      .idle = 1000ms,
                      .write = 500ms,
                      .close = 500ms,
                      .origins = {"https://a.example"}});
    return router;
}

asio::ip::tcp::endpoint endpoint_of(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    return {asio::ip::make_address(address.substr(0, colon)),
            static_cast<unsigned short>(std::stoi(address.substr(colon + 1)))};
}

/// Beast's, which blocks.
template <class Stream>
struct Client {
    template <class... Arguments>
    explicit Client(Arguments&&... arguments) : socket(io, std::forward<Arguments>(arguments)...) {}

    void connect(const std::string& address) {
        asio::ip::tcp::socket& tcp = beast::get_lowest_layer(socket);
        tcp.connect(endpoint_of(address));
        const timeval patience{.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(tcp.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    void write(const std::string& text) {
        socket.text(true);
        socket.write(asio::buffer(text));
    }
    std::string read() {
        beast::flat_buffer buffer;
        socket.read(buffer);
        return beast::buffers_to_string(buffer.data());
    }
    std::string ask(const std::string& text) {
        write(text);
        return read();
    }
    /// The code that it is closed with.
    int closed_with() {
        beast::flat_buffer buffer;
        beast::error_code ec;
        do {
            buffer.clear();
            socket.read(buffer, ec);
        } while (!ec);
        return ec == websocket::error::closed ? socket.reason().code : -1;
    }

    asio::io_context io;
    websocket::stream<Stream> socket;
};
using PlainClient = Client<asio::ip::tcp::socket>;

constexpr const char* kKey = "dGhlIHNhbXBsZSBub25jZQ==";

std::string handshake(const std::string& path, const std::string& more = {},
                      const std::string& version = "13", const std::string& key = kKey) {
    return "GET " + path +
           " HTTP/1.1\r\nHost: h.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
           "Sec-WebSocket-Version: " + version + "\r\nSec-WebSocket-Key: " + key + "\r\n" + more + "\r\n";
}

}  // namespace

class WebSocketsTest : public QObject {
    Q_OBJECT

private slots:
    void cleanup() { worker_.reset(); }

    void messages_go_both_ways();
    void requests_before_the_handshake_are_answered();
    void frames_may_come_with_the_handshake();
    void agrees_on_a_subprotocol();
    void handshakes_are_refused_as_the_rfc_says_data();
    void handshakes_are_refused_as_the_rfc_says();
    void curl_is_switched();
    void a_message_that_is_too_long_is_refused();
    void unmasked_frames_are_refused();
    void a_silent_client_is_given_up();
    void a_client_that_does_not_read_is_given_up();
    void an_exception_closes_with_1011_and_is_shown();
    void a_handler_may_close();
    void the_end_of_the_handler_closes();
    void a_client_may_close_or_go();
    void a_read_that_was_cancelled_loses_nothing();
    void several_may_write();
    void a_drain_closes_with_1001();
    void a_drain_can_be_awaited();
    void what_is_open_at_the_drain_deadline_is_cut();
    void is_shown_in_the_table_of_connections();
    void works_over_tls_and_knows_the_client();

private:
    void start(ListenerOptions options = {}, std::chrono::milliseconds drain_deadline = 10s) {
        worker_ = std::make_unique<WorkerProcesses>(router(), options, "127.0.0.1:0", drain_deadline);
        worker_->start();
    }
    std::unique_ptr<PlainClient> connect(const std::string& path = "/talk") {
        auto client = std::make_unique<PlainClient>();
        client->connect(worker_->address());
        client->socket.handshake(worker_->address(), path);
        return client;
    }
    std::uint64_t served() { return worker_->counter("connections_served_total"); }
    std::uint64_t failed(const char* reason) {
        return worker_->counter("connections_failed_total", {{"reason", reason}});
    }
    std::uint64_t failures(const char* name) {
        return worker_->counter("websocket_failures_total", {{"failure", name}});
    }

    std::unique_ptr<WorkerProcesses> worker_;
};

void WebSocketsTest::messages_go_both_ways() {
    start();
    const auto client = connect();
    QCOMPARE(client->ask("hello"), std::string("hello"));
    QCOMPARE(client->ask(""), std::string());
    const std::string long_one(900'000, 'l');
    QVERIFY(client->ask(long_one) == long_one);
    client->socket.binary(true);
    client->socket.write(asio::buffer("\0\1\xff", 3));
    QCOMPARE(client->read(), std::string("\0\1\xff", 3));
    QVERIFY(client->socket.got_binary());
    QVERIFY(client->ask("who").starts_with("127.0.0.1:"));
    client->socket.close(websocket::close_code::normal);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QCOMPARE(served(), 1u);
    QCOMPARE(worker_->counter("connections_accepted_total"), 1u);
}

void WebSocketsTest::requests_before_the_handshake_are_answered() {
    start();
    HttpClient client(worker_->address());
    client.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n" + handshake("/talk"));
    QCOMPARE(client.read().body, std::string("Hello!\n"));
    const Reply reply = client.read_header();
    QCOMPARE(reply.status, 101);
    QCOMPARE(reply.header("sec-websocket-accept"), std::string("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

void WebSocketsTest::frames_may_come_with_the_handshake() {
    start();
    HttpClient client(worker_->address());
    // "Hi", masked with zeros; then a close.
    client.send(handshake("/talk") + std::string("\x81\x82\0\0\0\0Hi\x88\x80\0\0\0\0", 14));
    QCOMPARE(client.read_header().status, 101);
    QCOMPARE(client.read_exactly(4), std::string("\x81\x02Hi"));
    QCOMPARE(client.read_exactly(4), std::string("\x88\x02\x03\xe8", 4));
    QVERIFY(client.ends());
}

void WebSocketsTest::agrees_on_a_subprotocol() {
    start();
    for (const auto& [offer, agreed] : {std::pair("chat.v1, chat.v2", "chat.v2"),
                                        std::pair("chat.v1", "chat.v1"), std::pair("chat.v3", "")}) {
        HttpClient client(worker_->address());
        client.send(handshake("/rooms/7", std::string("Sec-WebSocket-Protocol: ") + offer + "\r\n"));
        QCOMPARE(client.read_header().header("sec-websocket-protocol"), std::string(agreed));
    }
}

void WebSocketsTest::handshakes_are_refused_as_the_rfc_says_data() {
    QTest::addColumn<std::string>("request");
    QTest::addColumn<int>("status");
    QTest::newRow("good") << handshake("/talk") << 101;
    QTest::newRow("no upgrade") << std::string("GET /talk HTTP/1.1\r\nHost: h\r\n\r\n") << 426;
    QTest::newRow("another upgrade")
        << std::string("GET /talk HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n") << 426;
    QTest::newRow("HTTP/1.0") << "GET /talk HTTP/1.0" + handshake("/talk").substr(18) << 426;
    QTest::newRow("another version") << handshake("/talk", {}, "8") << 426;
    QTest::newRow("a short key") << handshake("/talk", {}, "13", "dGhlIHNhbXBsZQ==") << 400;
    QTest::newRow("a key that is none") << handshake("/talk", {}, "13", "dGhlIHNhbXBsZSBub25jZ!==") << 400;
    QTest::newRow("two keys") << handshake("/talk", std::string("Sec-WebSocket-Key: ") + kKey + "\r\n")
                              << 400;
    QTest::newRow("a body") << handshake("/talk", "Content-Length: 2\r\n") + "hi" << 400;
    QTest::newRow("POST") << "POST" + handshake("/talk").substr(3) << 405;
    QTest::newRow("own origin") << handshake("/talk", "Origin: https://h.example\r\n") << 101;
    QTest::newRow("foreign origin") << handshake("/talk", "Origin: https://evil.example\r\n") << 403;
    QTest::newRow("no origin that can be") << handshake("/talk", "Origin: null\r\n") << 403;
    QTest::newRow("listed origin") << handshake("/small", "Origin: https://a.example\r\n") << 101;
    QTest::newRow("unlisted origin") << handshake("/small", "Origin: https://h.example\r\n") << 403;
}

void WebSocketsTest::handshakes_are_refused_as_the_rfc_says() {
    QFETCH(std::string, request);
    QFETCH(int, status);
    start();
    HttpClient client(worker_->address());
    client.send(request);
    const Reply reply = client.read_header();
    QCOMPARE(reply.status, status);
    if (status != 426) return;
    QCOMPARE(reply.header("sec-websocket-version"), std::string("13"));
    QCOMPARE(reply.header("upgrade"), std::string("websocket"));
}

void WebSocketsTest::curl_is_switched() {
    start();
    const auto output =
        run_program("curl", {"--silent", "--include", "--max-time", "1", "--noproxy", "*", "--http1.1", "-H",
                             "Connection: Upgrade", "-H", "Upgrade: websocket", "-H",
                             "Sec-WebSocket-Version: 13", "-H", QString("Sec-WebSocket-Key: ") + kKey,
                             QString::fromStdString("http://" + worker_->address() + "/talk")});
    QVERIFY2(output.out.startsWith("HTTP/1.1 101 Switching Protocols\r\n"), output.all.constData());
    QVERIFY(output.out.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
}

void WebSocketsTest::a_message_that_is_too_long_is_refused() {
    start();
    const auto client = connect("/small");
    QCOMPARE(client->ask(std::string(1000, 'x')).size(), 1000u);
    client->write(std::string(1001, 'x'));
    QCOMPARE(client->closed_with(), 1009);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
}

void WebSocketsTest::unmasked_frames_are_refused() {
    start();
    HttpClient client(worker_->address());
    client.send(handshake("/talk"));
    QCOMPARE(client.read_header().status, 101);
    client.send("\x81\x02Hi");
    QCOMPARE(client.read_exactly(4), std::string("\x88\x02\x03\xea", 4));  // 1002
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
}

void WebSocketsTest::a_silent_client_is_given_up() {
    start();
    HttpClient client(worker_->address());
    client.send(handshake("/small"));
    QCOMPARE(client.read_header().status, 101);
    QCOMPARE(client.read_exactly(2), std::string("\x89\x00", 2));  // a ping, which is not answered
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QVERIFY(client.ends());
}

void WebSocketsTest::a_client_that_does_not_read_is_given_up() {
    start();
    const auto client = connect("/small");
    client->write("flood");
    QTRY_COMPARE_WITH_TIMEOUT(failures("Connection timed out"), 1u, 20'000);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QCOMPARE(worker_->events("handler_failed").size(), 0u);
}

void WebSocketsTest::an_exception_closes_with_1011_and_is_shown() {
    start();
    const auto client = connect();
    client->write("fail");
    QCOMPARE(client->closed_with(), 1011);
    QTRY_COMPARE_WITH_TIMEOUT(failed("handler"), 1u, 20'000);
    QCOMPARE(failures("std::runtime_error"), 1u);
    const auto events = worker_->events("handler_failed");
    QCOMPARE(events.size(), 1u);
    QVERIFY2(events[0].ends_with(": the handler's reason"), events[0].c_str());
}

void WebSocketsTest::a_handler_may_close() {
    start();
    const auto client = connect();
    client->write("close");
    QCOMPARE(client->closed_with(), 4000);
    QCOMPARE(std::string(client->socket.reason().reason.c_str()), std::string("enough"));
    QTRY_COMPARE_WITH_TIMEOUT(served(), 1u, 20'000);
}

void WebSocketsTest::the_end_of_the_handler_closes() {
    start();
    const auto client = connect();
    client->write("quit");
    QCOMPARE(client->closed_with(), 1000);
    QTRY_COMPARE_WITH_TIMEOUT(served(), 1u, 20'000);
    // One that does not answer the close is not waited for.
    HttpClient rude(worker_->address());
    rude.send(handshake("/small") + std::string("\x81\x84\0\0\0\0quit", 10));
    QCOMPARE(rude.read_header().status, 101);
    QTRY_COMPARE_WITH_TIMEOUT(served(), 2u, 20'000);
}

void WebSocketsTest::a_client_may_close_or_go() {
    start();
    connect()->socket.close(websocket::close_reason(1000));
    QTRY_COMPARE_WITH_TIMEOUT(served(), 1u, 20'000);
    connect();  // it is gone without a word
    QTRY_COMPARE_WITH_TIMEOUT(served(), 2u, 20'000);
    QCOMPARE(worker_->events("handler_failed").size(), 0u);
}

void WebSocketsTest::a_read_that_was_cancelled_loses_nothing() {
    start();
    const auto client = connect();
    client->write("interrupt");
    QTest::qSleep(30);  // so that reads are given up
    QCOMPARE(client->ask("now"), std::string("now"));
    QCOMPARE(client->ask("again"), std::string("again"));
}

void WebSocketsTest::several_may_write() {
    start();
    const auto client = connect();
    std::set<std::string> answers{client->ask("three at once")};
    answers.insert(client->read());
    answers.insert(client->read());
    QCOMPARE(answers, (std::set<std::string>{"one", "two", "three"}));
}

void WebSocketsTest::a_drain_closes_with_1001() {
    start();
    const auto client = connect();
    QCOMPARE(client->ask("hello"), std::string("hello"));
    worker_->signal(0, SIGTERM);
    QCOMPARE(client->closed_with(), 1001);
    QCOMPARE(worker_->wait(0), 0);
}

void WebSocketsTest::a_drain_can_be_awaited() {
    start();
    const auto client = connect();
    client->write("drain");
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().requests.load(), 2u, 20'000);
    worker_->signal(0, SIGTERM);
    QCOMPARE(client->read(), std::string("drained"));
    QCOMPARE(client->closed_with(), 1001);
    QCOMPARE(worker_->wait(0), 0);
}

void WebSocketsTest::what_is_open_at_the_drain_deadline_is_cut() {
    start({}, 300ms);
    const auto client = connect();
    client->write("sleep");
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().requests.load(), 2u, 20'000);
    worker_->signal(0, SIGTERM);
    QCOMPARE(client->closed_with(), -1);
    QTRY_COMPARE_WITH_TIMEOUT(failures("The worker has ended"), 1u, 20'000);
    QCOMPARE(worker_->wait(0), 0);
}

void WebSocketsTest::is_shown_in_the_table_of_connections() {
    start();
    const auto client = connect("/rooms/7");
    const telemetry::SegmentView view(worker_->telemetry().segment().descriptor());
    const auto shown = [&] { return view.connections(0).shown; };
    QTRY_COMPARE_WITH_TIMEOUT(shown().size(), std::size_t{1}, 20'000);
    QTRY_COMPARE_WITH_TIMEOUT(shown()[0].request, std::string("WebSocket /rooms/7"), 20'000);
    QCOMPARE(client->ask("hello"), std::string("hello"));
    QTRY_COMPARE_WITH_TIMEOUT(shown()[0].request, std::string("hello"), 20'000);
    QCOMPARE(shown()[0].received_bytes, 5u);
    QTRY_COMPARE_WITH_TIMEOUT(shown()[0].sent_bytes, 5u, 20'000);
}

void WebSocketsTest::works_over_tls_and_knows_the_client() {
    Certificates certificates;
    certificates.make("alice");
    TlsOptions tls = server_tls(certificates);
    tls.client_certificates = ClientCertificates::optional;
    tls.client_authority = certificates.file("authority.pem");
    start({.tls = tls});
    asio::ssl::context context(asio::ssl::context::tls_client);
    context.use_certificate_file(certificates.file("alice.pem"), asio::ssl::context::pem);
    context.use_private_key_file(certificates.file("alice.key"), asio::ssl::context::pem);
    Client<asio::ssl::stream<asio::ip::tcp::socket>> client(context);
    client.connect(worker_->address());
    client.socket.next_layer().handshake(asio::ssl::stream_base::client);
    client.socket.handshake(worker_->address(), "/talk");
    QVERIFY(client.ask("who").ends_with(" /talk  CN=alice"));
    const std::string long_one(900'000, 'l');
    for (int i = 0; i < 5; ++i)
        QVERIFY(client.ask(long_one) == long_one);
    worker_->signal(0, SIGTERM);
    QCOMPARE(client.closed_with(), 1001);
    QCOMPARE(worker_->wait(0), 0);
}

SERVER_TEST_MAIN(WebSocketsTest)
#include "test_websockets.moc"
