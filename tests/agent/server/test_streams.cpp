// Stream handlers under clients that keep to the protocol, and under some that do not.
#define QT_NO_EMIT  // Asio has members of that name
#include <signal.h>
#include <sys/socket.h>

#include <QProcess>
#include <QTest>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "agent/telemetry/view.hpp"
#include "http_client.hpp"
#include "proxy_bytes.hpp"
#include "server_test_main.hpp"
#include "tests/support/certificates.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

awaitable<void> pause(std::chrono::milliseconds time) {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    timer.expires_after(time);
    co_await timer.async_wait(boost::asio::use_awaitable);
}

void spin(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
    }
}

awaitable<void> echo(Connection connection) {
    for (bool more = co_await connection.more(); more; more = co_await connection.more()) {
        const std::string_view piece = co_await connection.read_some();
        co_await connection.write(piece);
    }
}

awaitable<void> keep_a_while(Connection connection) {
    co_await pause(200ms);
    co_await connection.write("after the handler\n");
}

/// Reads "a\n" with a read that is given up again and again.
awaitable<void> read_with_interruptions(Connection& connection) {
    using namespace boost::asio::experimental::awaitable_operators;
    for (;;) {
        const auto either = co_await (connection.read_until("\n", 100) || pause(5ms));
        if (either.index() != 0) continue;
        co_await connection.write(std::get<0>(either));
        co_return;
    }
}

awaitable<void> wait_for_drain(Connection& connection) {
    using namespace boost::asio::experimental::awaitable_operators;
    const auto either = co_await (connection.read_some() || connection.until_draining());
    co_await connection.write(either.index() == 0 ? "something\n" : "drained\n");
}

std::string facts_of(const Connection& connection) {
    const TlsFacts* const facts = connection.tls();
    if (!facts) return "plain\n";
    return facts->server_name + " " + facts->client_subject +
           (facts->version == TlsVersion::tls_1_3 ? " 1.3\n" : " 1.2\n");
}

/// A command a line.
awaitable<void> talk(Connection connection) {
    for (bool more = co_await connection.more(); more; more = co_await connection.more()) {
        const std::string line(co_await connection.read_until("\r\n", 100));
        const std::string command = line.substr(0, line.size() - std::min<std::size_t>(line.size(), 2));
        connection.begin_request(command);
        if (command == "peer") {
            const std::string peer = connection.peer() + "\n";
            co_await connection.write(peer);
        } else if (command == "facts") {
            const std::string facts = facts_of(connection);
            co_await connection.write(facts);
        } else if (command == "exactly") {
            const std::string_view four = co_await connection.read_exactly(4);
            co_await connection.write(four);
        } else if (command == "flood") {
            const std::string much(32 << 20, 'x');
            co_await connection.write(much);
        } else if (command == "fail") {
            throw std::runtime_error("the handler's reason");
        } else if (command == "fail without a type") {
            throw 7;
        } else if (command == "spin") {
            co_await connection.write("spinning\n");
            spin(2s);
        } else if (command == "give away") {
            boost::asio::co_spawn(co_await boost::asio::this_coro::executor,
                                  keep_a_while(std::move(connection)), boost::asio::detached);
            co_return;
        } else if (command == "interrupt") {
            co_await read_with_interruptions(connection);
        } else if (command == "wait") {
            co_await wait_for_drain(connection);
        } else if (command == "sleep") {
            co_await pause(60s);
        } else if (command == "half") {
            connection.shutdown();
            const std::string_view rest = co_await connection.read_exactly(2);
            if (rest != "ok") throw std::logic_error("it came not");
        } else if (command == "quit") {
            co_return;
        } else if (command == "reset") {
            connection.reset();
        } else {
            co_await connection.write(line);
        }
    }
    if (connection.draining()) co_await connection.write("goodbye\n");
}

std::string line_of(HttpClient& client) {
    std::string line;
    while (!line.ends_with('\n'))
        line += client.read_exactly(1);
    return line;
}

bool is_reset(HttpClient& client) {
    try {
        client.read_rest();
        return false;
    } catch (const std::system_error& error) {
        return error.code() == std::errc::connection_reset;
    }
}

}  // namespace

class StreamsTest : public QObject {
    Q_OBJECT

private slots:
    void cleanup() { worker_.reset(); }

    void a_line_may_come_in_pieces_and_several_at_once();
    void carries_much_both_ways();
    void serves_unix_sockets();
    void reads_exactly_what_is_asked_for();
    void a_line_that_is_too_long_ends_the_connection();
    void an_end_in_the_middle_of_a_message_is_a_failure();
    void a_silent_peer_is_left_in_peace_until_the_idle_deadline();
    void a_message_has_a_deadline_of_its_own();
    void a_peer_that_does_not_read_is_reset();
    void an_exception_resets_is_counted_and_shown();
    void failures_are_shown_five_times_a_minute();
    void connections_beyond_the_limit_are_reset();
    void a_full_queue_resets();
    void what_waited_too_long_is_reset();
    void a_read_that_was_cancelled_loses_nothing();
    void a_connection_outlives_its_handler_if_that_gives_it_away();
    void the_sending_side_may_be_shut_down();
    void a_handler_may_reset_its_connection();
    void a_drain_is_told();
    void a_drain_can_be_awaited();
    void what_is_open_at_the_drain_deadline_is_cut();
    void is_shown_in_the_table_of_connections();
    void goes_through_tls();
    void knows_who_the_client_is();
    void plain_text_where_tls_is_required_is_reset();
    void goes_through_the_header_of_proxies();

private:
    void start(StreamLimits limits = {}, ListenerOptions options = {},
               std::chrono::milliseconds drain_deadline = 10s) {
        options.stream = limits;
        worker_ = std::make_unique<WorkerProcesses>(talk, options, "127.0.0.1:0", drain_deadline);
        worker_->start();
    }
    HttpClient connect(int receive_buffer = 0) { return HttpClient(worker_->address(), receive_buffer); }
    std::uint64_t served() { return worker_->counter("connections_served_total"); }
    std::uint64_t failed(const char* reason) {
        return worker_->counter("connections_failed_total", {{"reason", reason}});
    }
    std::uint64_t shed(const char* reason) {
        return worker_->counter("connections_shed_total", {{"reason", reason}});
    }
    std::uint64_t failures(const char* name) {
        return worker_->counter("stream_failures_total", {{"failure", name}});
    }
    /// Once nothing is open any more.
    void verify_balance() {
        std::uint64_t all = served();
        for (const char* const reason : {"client", "deadline", "handler", "transport", "worker_ended"})
            all += failed(reason);
        for (const char* const reason :
             {"queue_full", "deadline", "no_descriptors", "connection_limit", "to_make_room"})
            all += shed(reason);
        QCOMPARE(all, worker_->counter("connections_accepted_total"));
    }

    std::unique_ptr<WorkerProcesses> worker_;
};

void StreamsTest::a_line_may_come_in_pieces_and_several_at_once() {
    start();
    HttpClient client = connect();
    for (const char c : std::string("one\r\n")) {
        client.send({&c, 1});
        QTest::qSleep(2);
    }
    QCOMPARE(line_of(client), std::string("one\r\n"));
    client.send("two\r\nthree\r\nfour\r");
    QCOMPARE(line_of(client), std::string("two\r\n"));
    QCOMPARE(line_of(client), std::string("three\r\n"));
    client.send("\n");
    QCOMPARE(line_of(client), std::string("four\r\n"));
    client.half_close();
    QVERIFY(client.ends());
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QCOMPARE(served(), 1u);
    QCOMPARE(worker_->counter("stream_received_bytes_total"), 5u + 5 + 7 + 6);
    QCOMPARE(worker_->counter("stream_sent_bytes_total"), 5u + 5 + 7 + 6);
    verify_balance();
    QCOMPARE(worker_->stop(0), 0);
}

void StreamsTest::carries_much_both_ways() {
    worker_ = std::make_unique<WorkerProcesses>(echo);
    worker_->start();
    HttpClient client = connect();
    std::string piece(256 * 1024, '\0');
    for (std::size_t i = 0; i < piece.size(); ++i)
        piece[i] = static_cast<char>(i * 31 + i / 251);
    for (int i = 0; i < 64; ++i) {
        client.send(piece);
        QVERIFY(client.read_exactly(piece.size()) == piece);
    }
}

void StreamsTest::serves_unix_sockets() {
    QTemporaryDir directory;
    worker_ = std::make_unique<WorkerProcesses>(talk, ListenerOptions{},
                                                "unix:" + directory.filePath("socket").toStdString());
    worker_->start();
    HttpClient client = connect();
    client.send("peer\r\nfacts\r\n");
    QCOMPARE(line_of(client), std::string("unix\n"));
    QCOMPARE(line_of(client), std::string("plain\n"));
}

void StreamsTest::reads_exactly_what_is_asked_for() {
    start();
    HttpClient client = connect();
    client.send("exactly\r\nabcdpeer\r\n");
    QCOMPARE(client.read_exactly(4), std::string("abcd"));
    QVERIFY(line_of(client).starts_with("127.0.0.1:"));
    client.send("exactly\r\nab");
    QTest::qSleep(2);
    client.send("cd");
    QCOMPARE(client.read_exactly(4), std::string("abcd"));
}

void StreamsTest::a_line_that_is_too_long_ends_the_connection() {
    start();
    for (const std::string& line : {std::string(200, 'x'), std::string(99, 'x') + "\r\n"}) {
        HttpClient client = connect();
        client.send(line);
        QVERIFY(is_reset(client));
    }
    HttpClient longest = connect();
    longest.send(std::string(98, 'x') + "\r\n");
    QCOMPARE(line_of(longest).size(), 100u);
    QTRY_COMPARE_WITH_TIMEOUT(failures("Message too long"), 2u, 20'000);
    QCOMPARE(worker_->events("handler_failed").size(), 0u);  // it is the peer's
    start({.message = Bytes{50}});
    HttpClient client = connect();
    client.send(std::string(51, 'x'));
    QVERIFY(is_reset(client));
}

void StreamsTest::an_end_in_the_middle_of_a_message_is_a_failure() {
    start();
    HttpClient client = connect();
    client.send("half a li");
    client.half_close();
    QVERIFY(is_reset(client));
    QTRY_COMPARE_WITH_TIMEOUT(failed("client"), 1u, 20'000);
    QCOMPARE(failures("End of file"), 1u);
    QCOMPARE(worker_->events("handler_failed").size(), 0u);
}

void StreamsTest::a_silent_peer_is_left_in_peace_until_the_idle_deadline() {
    start({.idle = 500ms, .read = 60s});
    HttpClient client = connect();
    client.send("one\r\n");
    QCOMPARE(line_of(client), std::string("one\r\n"));
    QCOMPARE(client.read_rest(), std::string());  // in order
    QTRY_COMPARE_WITH_TIMEOUT(served(), 1u, 20'000);
    start({.idle = 0ms, .read = 300ms});
    HttpClient patient = connect();
    QTest::qSleep(600);  // not a condition: that nothing happens
    patient.send("two\r\n");
    QCOMPARE(line_of(patient), std::string("two\r\n"));
}

void StreamsTest::a_message_has_a_deadline_of_its_own() {
    start({.idle = 60s, .read = 300ms});
    HttpClient client = connect();
    client.send("half a li");
    QVERIFY(is_reset(client));
    QTRY_COMPARE_WITH_TIMEOUT(failures("Connection timed out"), 1u, 20'000);
}

void StreamsTest::a_peer_that_does_not_read_is_reset() {
    start({.write = 300ms});
    HttpClient client = connect(4096);
    client.send("flood\r\n");
    QTRY_COMPARE_WITH_TIMEOUT(failed("deadline"), 1u, 20'000);
    QCOMPARE(failures("Connection timed out"), 1u);
    QVERIFY(is_reset(client));
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
}

void StreamsTest::an_exception_resets_is_counted_and_shown() {
    start();
    HttpClient client = connect();
    client.send("fail\r\n");
    QVERIFY(is_reset(client));
    HttpClient another = connect();
    another.send("fail without a type\r\n");
    QVERIFY(is_reset(another));
    QTRY_COMPARE_WITH_TIMEOUT(failed("handler"), 2u, 20'000);
    QCOMPARE(failures("std::runtime_error"), 1u);
    QCOMPARE(failures("no std::exception"), 1u);
    const auto events = worker_->events("handler_failed");
    QCOMPARE(events.size(), 2u);
    QVERIFY2(events[0].starts_with(worker_->address() + ", connection of 127.0.0.1:") &&
                 events[0].ends_with(": the handler's reason"),
             events[0].c_str());
    QCOMPARE(worker_->seat().connections.load(), 0u);
    verify_balance();
}

void StreamsTest::failures_are_shown_five_times_a_minute() {
    start();
    for (int i = 0; i < 20; ++i) {
        HttpClient client = connect();
        client.send("fail\r\n");
        QVERIFY(is_reset(client));
    }
    QTRY_COMPARE_WITH_TIMEOUT(failures("std::runtime_error"), 20u, 20'000);
    QCOMPARE(worker_->events("handler_failed").size(), 5u);
}

void StreamsTest::connections_beyond_the_limit_are_reset() {
    start({.connections = 2});
    std::vector<HttpClient> clients;
    for (int i = 0; i < 2; ++i) {
        clients.push_back(connect());
        clients.back().send("hello\r\n");
        QCOMPARE(line_of(clients.back()), std::string("hello\r\n"));
    }
    HttpClient third = connect();
    QVERIFY(is_reset(third));
    QCOMPARE(shed("connection_limit"), 1u);
    QCOMPARE(worker_->seat().queues[0].shed.load(), 1u);
    clients.pop_back();
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 1u, 20'000);
    HttpClient fourth = connect();
    fourth.send("hello\r\n");
    QCOMPARE(line_of(fourth), std::string("hello\r\n"));
    clients.clear();
    fourth.half_close();
    QVERIFY(fourth.ends());
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    verify_balance();
}

void StreamsTest::a_full_queue_resets() {
    start({}, {.queue_capacity = 1});
    HttpClient spinning = connect();
    spinning.send("spin\r\n");
    QCOMPARE(line_of(spinning), std::string("spinning\n"));
    HttpClient waiting = connect();
    QTRY_COMPARE_WITH_TIMEOUT(worker_->waiting(), 1u, 20'000);
    HttpClient shed_one = connect();
    QVERIFY(is_reset(shed_one));
    QCOMPARE(shed("queue_full"), 1u);
    waiting.send("hello\r\n");
    QCOMPARE(line_of(waiting), std::string("hello\r\n"));
}

void StreamsTest::what_waited_too_long_is_reset() {
    start({}, {.queue_deadline = 100ms});
    HttpClient spinning = connect();
    spinning.send("spin\r\n");
    QCOMPARE(line_of(spinning), std::string("spinning\n"));
    HttpClient waiting = connect();
    waiting.send("hello\r\n");
    QVERIFY(is_reset(waiting));
    QCOMPARE(shed("deadline"), 1u);
}

void StreamsTest::a_read_that_was_cancelled_loses_nothing() {
    start();
    HttpClient client = connect();
    client.send("interrupt\r\nab");
    QTest::qSleep(30);  // so that reads are given up
    client.send("c\n");
    QCOMPARE(line_of(client), std::string("abc\n"));
    client.send("hello\r\n");
    QCOMPARE(line_of(client), std::string("hello\r\n"));
}

void StreamsTest::a_connection_outlives_its_handler_if_that_gives_it_away() {
    start();
    HttpClient client = connect();
    client.send("give away\r\n");
    QCOMPARE(line_of(client), std::string("after the handler\n"));
    QVERIFY(client.ends());
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QCOMPARE(served(), 1u);
}

void StreamsTest::the_sending_side_may_be_shut_down() {
    start();
    HttpClient client = connect();
    client.send("half\r\n");
    QCOMPARE(client.read_rest(), std::string());
    client.send("ok");
    client.half_close();
    QTRY_COMPARE_WITH_TIMEOUT(served(), 1u, 20'000);
}

void StreamsTest::a_handler_may_reset_its_connection() {
    start();
    HttpClient client = connect();
    client.send("reset\r\n");
    QVERIFY(is_reset(client));
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
}

void StreamsTest::a_drain_is_told() {
    start();
    HttpClient idle = connect();
    HttpClient busy = connect();
    busy.send("exactly\r\n");  // in the middle of a message: not to be cut
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 2u, 20'000);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->counter("stream_received_bytes_total"), 9u, 20'000);
    worker_->signal(0, SIGTERM);
    QCOMPARE(line_of(idle), std::string("goodbye\n"));
    QVERIFY(idle.ends());
    busy.send("abcd");
    QCOMPARE(busy.read_exactly(4), std::string("abcd"));
    QCOMPARE(line_of(busy), std::string("goodbye\n"));
    QVERIFY(busy.ends());
    QTRY_COMPARE_WITH_TIMEOUT(served(), 2u, 20'000);
    verify_balance();
    QCOMPARE(worker_->wait(0), 0);
}

void StreamsTest::a_drain_can_be_awaited() {
    start();
    HttpClient client = connect();
    client.send("wait\r\n");
    QTRY_COMPARE_WITH_TIMEOUT(worker_->counter("stream_received_bytes_total"), 6u, 20'000);
    worker_->signal(0, SIGTERM);
    QCOMPARE(line_of(client), std::string("drained\n"));
    QCOMPARE(line_of(client), std::string("goodbye\n"));
    QVERIFY(client.ends());
    QCOMPARE(worker_->wait(0), 0);
}

void StreamsTest::what_is_open_at_the_drain_deadline_is_cut() {
    start({}, {}, 300ms);
    HttpClient sleeping = connect();
    sleeping.send("sleep\r\n");
    HttpClient in_a_message = connect();
    in_a_message.send("exactly\r\n");
    QTRY_COMPARE_WITH_TIMEOUT(worker_->counter("stream_received_bytes_total"), 16u, 20'000);
    worker_->signal(0, SIGTERM);
    QVERIFY(sleeping.ends());
    QVERIFY(in_a_message.ends());
    QTRY_COMPARE_WITH_TIMEOUT(failures("The worker has ended"), 2u, 20'000);
    verify_balance();
    QCOMPARE(worker_->wait(0), 0);
}

void StreamsTest::is_shown_in_the_table_of_connections() {
    start();
    HttpClient client = connect();
    client.send("hello\r\n");
    QCOMPARE(line_of(client), std::string("hello\r\n"));
    const telemetry::SegmentView view(worker_->telemetry().segment().descriptor());
    const auto only = [&] {
        const auto list = view.connections(0);
        return list.shown.size() == 1 ? list.shown[0] : telemetry::ConnectionInfo();
    };
    QTRY_COMPARE_WITH_TIMEOUT(static_cast<int>(only().state),
                              static_cast<int>(telemetry::ConnectionState::idle), 20'000);
    QCOMPARE(only().request, std::string("hello"));
    QCOMPARE(only().requests, 1u);
    QCOMPARE(only().received_bytes, 7u);
    QCOMPARE(only().sent_bytes, 7u);
    client.send("hel");
    QTRY_COMPARE_WITH_TIMEOUT(static_cast<int>(only().state),
                              static_cast<int>(telemetry::ConnectionState::reading), 20'000);
    client.send("lo\r\nsleep\r\n");
    QTRY_COMPARE_WITH_TIMEOUT(static_cast<int>(only().state),
                              static_cast<int>(telemetry::ConnectionState::handling), 20'000);
    QCOMPARE(worker_->seat().requests.load(), 3u);
}

void StreamsTest::goes_through_tls() {
    const Certificates certificates;
    start({}, {.tls = server_tls(certificates)});
    const auto answer = s_client(worker_->address(), {"-quiet", "-ign_eof", "-servername", "talk.example"},
                                 "facts\r\nhello\r\nquit\r\n");
    QVERIFY2(answer.out == "talk.example  1.3\nhello\r\n", answer.all.constData());
    QVERIFY2(!answer.all.contains("unexpected eof"), answer.all.constData());
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    verify_balance();
}

void StreamsTest::knows_who_the_client_is() {
    Certificates certificates;
    certificates.make("alice");
    TlsOptions tls = server_tls(certificates);
    tls.client_certificates = ClientCertificates::optional;
    tls.client_authority = certificates.file("authority.pem");
    start({}, {.tls = tls});
    const auto ask = [&](const QStringList& options) {
        return s_client(worker_->address(), QStringList{"-quiet", "-ign_eof"} + options, "facts\r\nquit\r\n")
            .out;
    };
    const QStringList alice{"-cert", QString::fromStdString(certificates.file("alice.pem")), "-key",
                            QString::fromStdString(certificates.file("alice.key"))};
    QCOMPARE(ask(alice + QStringList{"-noservername"}), QByteArray(" CN=alice 1.3\n"));
    QCOMPARE(ask(alice + QStringList{"-tls1_2", "-noservername"}), QByteArray(" CN=alice 1.2\n"));
    QCOMPARE(ask({"-noservername"}), QByteArray("  1.3\n"));
}

void StreamsTest::plain_text_where_tls_is_required_is_reset() {
    const Certificates certificates;
    start({}, {.tls = server_tls(certificates)});
    HttpClient client = connect();
    client.send("hello\r\n");
    QVERIFY(is_reset(client));
    QTRY_COMPARE_WITH_TIMEOUT(failed("transport"), 1u, 20'000);
    QCOMPARE(worker_->counter("tls_handshakes_total", {{"result", "plain_text"}}), 1u);
    verify_balance();
}

void StreamsTest::goes_through_the_header_of_proxies() {
    start({}, {.proxy = ProxyOptions{.trusted = {"127.0.0.1"}}});
    HttpClient client = connect();
    client.send(proxy_v2(0x21, 0x11, inet_addresses("192.0.2.7", 4242)) + "peer\r\n");
    QCOMPARE(line_of(client), std::string("192.0.2.7:4242\n"));
}

SERVER_TEST_MAIN(StreamsTest)
#include "test_streams.moc"
