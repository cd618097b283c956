// The load generator against small servers of the test's own, in one thread: what it counts, as what, and
// from when.
#include <QTemporaryDir>
#include <QTest>
#include <boost/asio.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "agent/examples/load/generator.hpp"

using namespace signalbox::load;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::use_awaitable;

namespace {

using Socket = asio::generic::stream_protocol::socket;
/// Serves one connection until it returns, which closes the connection.
using Behaviour = std::function<asio::awaitable<void>(Socket&)>;

const std::string kHello = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nHello!\n";

/// Reads one request, with a body if it says so; empty at the end of the connection.
asio::awaitable<std::string> read_request(Socket& socket) {
    std::string request;
    boost::system::error_code error;
    auto token = asio::redirect_error(use_awaitable, error);
    const std::size_t header =
        co_await asio::async_read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", token);
    if (error) co_return std::string{};
    const std::size_t field = request.find("Content-Length: ");
    const std::size_t body = field == std::string::npos ? 0 : std::stoul(request.substr(field + 16));
    const std::size_t total = header + body;
    if (request.size() < total)
        co_await asio::async_read(socket, asio::dynamic_buffer(request),
                                  asio::transfer_exactly(total - request.size()), token);
    co_return request;
}

asio::awaitable<void> answer(Socket& socket, const std::string& response) {
    boost::system::error_code error;
    auto token = asio::redirect_error(use_awaitable, error);
    co_await asio::async_write(socket, asio::buffer(response), token);
}

/// Answers every request on the connection with `response`.
Behaviour always(const std::string& response) {
    return [response](Socket& socket) -> asio::awaitable<void> {
        for (;;) {
            const std::string request = co_await read_request(socket);
            if (request.empty()) co_return;
            co_await answer(socket, response);
        }
    };
}

/// Answers one request with `response`, then closes.
Behaviour once(const std::string& response) {
    return [response](Socket& socket) -> asio::awaitable<void> {
        co_await read_request(socket);
        co_await answer(socket, response);
    };
}

template <class Protocol>
class Server {
public:
    Server(asio::io_context& io, const typename Protocol::endpoint& endpoint, Behaviour behaviour)
        : acceptor_(io, endpoint), behaviour_(std::move(behaviour)) {
        accept();
    }
    void close() { acceptor_.close(); }
    int connections() const { return connections_; }
    auto port() const { return acceptor_.local_endpoint().port(); }

private:
    void accept() {
        acceptor_.async_accept(
            [this](const boost::system::error_code& error, typename Protocol::socket socket) {
                if (error) return;
                ++connections_;
                asio::co_spawn(acceptor_.get_executor(), serve(Socket(std::move(socket))), asio::detached);
                accept();
            });
    }
    asio::awaitable<void> serve(Socket socket) { co_await behaviour_(socket); }

    typename Protocol::acceptor acceptor_;
    Behaviour behaviour_;
    int connections_ = 0;
};

using TcpServer = Server<asio::ip::tcp>;
const asio::ip::tcp::endpoint kAnyPort(asio::ip::address_v4::loopback(), 0);

Target target_at(std::uint16_t port) {
    return Target::parse("http://127.0.0.1:" + std::to_string(port) + "/hello");
}

Scenario get(const Target& target, bool keep_alive = true) {
    return Scenario::single(prepare(target, "GET", target.path, {}, keep_alive));
}

struct Result {
    Report report;
    int connections = 0;
};

/// Runs the load against a server that behaves like this; `options` lacks only the target.
Result run(Behaviour behaviour, Options options) {
    asio::io_context io(1);
    TcpServer server(io, kAnyPort, std::move(behaviour));
    options.target = target_at(server.port());
    Generator generator(io, options, get(options.target, !options.new_connections),
                        [&server] { server.close(); });
    generator.start();
    io.run();
    return {generator.report(), server.connections()};
}

Options closed_loop(unsigned connections = 2) {
    return {.target = {}, .connections = connections, .duration = 200ms};
}

}  // namespace

class LoadGeneratorTest : public QObject {
    Q_OBJECT

private slots:
    void urls_are_taken_apart_data() {
        QTest::addColumn<QString>("url");
        QTest::addColumn<QString>("host");
        QTest::addColumn<QString>("port");
        QTest::addColumn<QString>("path");
        QTest::addColumn<QString>("socket");
        QTest::newRow("plain") << "http://localhost:8080/a?b=c"
                               << "localhost"
                               << "8080"
                               << "/a?b=c"
                               << "";
        QTest::newRow("no port, no path") << "http://example.org"
                                          << "example.org"
                                          << "80"
                                          << "/"
                                          << "";
        QTest::newRow("only a query") << "http://h:1?q"
                                      << "h"
                                      << "1"
                                      << "/?q"
                                      << "";
        QTest::newRow("a fragment is not sent") << "http://h/a#b"
                                                << "h"
                                                << "80"
                                                << "/a"
                                                << "";
        QTest::newRow("IPv6") << "http://[::1]:8080/"
                              << "::1"
                              << "8080"
                              << "/"
                              << "";
        QTest::newRow("unix") << "http+unix://%2Frun%2Fa.sock/hello"
                              << ""
                              << ""
                              << "/hello"
                              << "/run/a.sock";
    }
    void urls_are_taken_apart() {
        QFETCH(QString, url);
        const Target target = Target::parse(url.toStdString());
        QTEST(QString::fromStdString(target.host), "host");
        QTEST(QString::fromStdString(target.port), "port");
        QTEST(QString::fromStdString(target.path), "path");
        QTEST(QString::fromStdString(target.socket_path), "socket");
    }

    void bad_urls_are_refused_with_an_example_data() {
        QTest::addColumn<QString>("url");
        for (const char* url : {"", "localhost:8080", "https://h/", "http://", "http://:80/",
                                "http://h:port/", "http://h:0/", "http://h:70000/", "http://[::1/",
                                "http://u@h/", "http+unix:///hello", "http+unix://%2/x", "http://h/a b"})
            QTest::newRow(url) << url;
    }
    void bad_urls_are_refused_with_an_example() {
        QFETCH(QString, url);
        try {
            Target::parse(url.toStdString());
            QFAIL("was taken");
        } catch (const std::invalid_argument& error) {
            QVERIFY(std::string_view(error.what()).find("try http://") != std::string_view::npos);
        }
    }

    void answers_are_counted_and_connections_kept() {
        const Result result = run(always(kHello), closed_loop());
        QVERIFY(result.report.requests > 10);
        QCOMPARE(result.report.failed(), std::uint64_t{0});
        QCOMPARE(result.report.statuses.at(200), result.report.requests);
        QCOMPARE(result.report.latency.count(), result.report.requests);
        QCOMPARE(result.report.body_bytes, result.report.requests * 7);
        QCOMPARE(result.connections, 2);
    }

    void an_open_loop_keeps_its_rate() {
        const Result result =
            run(always(kHello), {.target = {}, .rate = 200, .connections = 2, .duration = 500ms});
        QCOMPARE(result.report.requests + result.report.unsent, std::uint64_t{100});
        QCOMPARE(result.report.failed(), std::uint64_t{0});
    }

    void a_connection_for_every_request() {
        Options options = closed_loop();
        options.new_connections = true;
        const Result result = run(always(kHello), options);
        QCOMPARE(result.report.failed(), std::uint64_t{0});
        QCOMPARE(static_cast<std::uint64_t>(result.connections), result.report.requests);
    }

    void a_stall_shows_in_every_request_that_was_due_meanwhile() {
        bool stalled = false;
        const Behaviour stall_at_first = [&stalled](Socket& socket) -> asio::awaitable<void> {
            for (;;) {
                const std::string request = co_await read_request(socket);
                if (request.empty()) co_return;
                asio::steady_timer timer(socket.get_executor(), std::exchange(stalled, true) ? 0ms : 500ms);
                co_await timer.async_wait(use_awaitable);
                co_await answer(socket, kHello);
            }
        };
        const Result result =
            run(stall_at_first, {.target = {}, .rate = 100, .connections = 1, .duration = 1s});
        const auto& latency = result.report.latency;
        QVERIFY(latency.count() - latency.count_up_to(0.1) >= 35);  // those due in the first 400 ms
        QVERIFY(latency.max().value() >= 0.5);
    }

    void failures_are_told_apart_data() {
        QTest::addColumn<QByteArray>("response");
        QTest::addColumn<int>("failure");
        const auto row = [](const char* name, const char* response, Failure failure) {
            QTest::newRow(name) << QByteArray(response) << static_cast<int>(failure);
        };
        row("closed without a word", "", Failure::closed);
        row("closed in the header", "HTTP/1.1 200 OK\r\nConte", Failure::closed);
        row("closed in the body", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nHel", Failure::closed);
        row("shed", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            Failure::status);
        row("not HTTP", "220 mail.example.org ESMTP\r\n\r\n", Failure::malformed);
    }
    void failures_are_told_apart() {
        QFETCH(QByteArray, response);
        QFETCH(int, failure);
        const Report report = run(once(response.toStdString()), closed_loop()).report;
        QVERIFY(report.requests > 0);
        QCOMPARE(report.failed(), report.requests);
        QCOMPARE(report.count(static_cast<Failure>(failure)), report.requests);
        QVERIFY(report.latency.empty());
    }

    void a_reset_is_a_reset() {
        const Behaviour reset = [](Socket& socket) -> asio::awaitable<void> {
            co_await read_request(socket);
            socket.set_option(asio::socket_base::linger(true, 0));
            socket.close();  // the destructor would not reset
        };
        const Report report = run(reset, closed_loop()).report;
        QVERIFY(report.requests > 0);
        QCOMPARE(report.count(Failure::reset), report.requests);
    }

    void nobody_there_is_refused() {
        asio::io_context io(1);
        std::uint16_t port = 0;
        {
            asio::ip::tcp::acceptor taken(io, kAnyPort);
            port = taken.local_endpoint().port();
        }
        const Target target = target_at(port);
        Generator generator(io, {.target = target, .connections = 1, .duration = 100ms}, get(target));
        generator.start();
        io.run();
        QVERIFY(generator.report().requests > 0);
        QVERIFY(generator.report().requests < 50);  // it does not turn at full speed
        QCOMPARE(generator.report().count(Failure::refused), generator.report().requests);
    }

    void silence_is_a_timeout() {
        const Behaviour silent = [](Socket& socket) -> asio::awaitable<void> {
            for (;;) {
                const std::string request = co_await read_request(socket);
                if (request.empty()) co_return;
            }
        };
        Options options = closed_loop(3);
        options.timeout = 50ms;
        const Report report = run(silent, options).report;
        QVERIFY(report.requests >= 3);
        QCOMPARE(report.count(Failure::timeout), report.requests);
    }

    void a_connection_that_is_closed_while_idle_is_replaced() {
        const Result result =
            run(once(kHello), {.target = {}, .rate = 50, .connections = 1, .duration = 500ms});
        QVERIFY(result.report.requests > 1);
        QCOMPARE(result.report.failed(), std::uint64_t{0});
        QCOMPARE(static_cast<std::uint64_t>(result.connections), result.report.requests);
    }

    void connection_close_is_heeded() {
        const Result result =
            run(once("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), closed_loop());
        QVERIFY(result.report.requests > 1);
        QCOMPARE(result.report.failed(), std::uint64_t{0});
    }

    void an_answer_before_the_request_is_through_counts() {
        const Behaviour shed_at_once = [](Socket& socket) -> asio::awaitable<void> {
            co_await answer(socket,
                            "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            std::string rest;
            boost::system::error_code error;
            auto token = asio::redirect_error(use_awaitable, error);
            co_await asio::async_read(socket, asio::dynamic_buffer(rest), token);
        };
        asio::io_context io(1);
        TcpServer server(io, kAnyPort, shed_at_once);
        const Target target = target_at(server.port());
        auto scenario = Scenario::single(prepare(target, "POST", "/", std::string(32u << 20, 'x'), true));
        Generator generator(io, {.target = target, .connections = 1, .duration = 100ms}, std::move(scenario),
                            [&server] { server.close(); });
        generator.start();
        io.run();
        QVERIFY(generator.report().requests > 0);
        QCOMPARE(generator.report().statuses.at(413), generator.report().requests);
    }

    void the_mailroom_scenario_sends_both_kinds() {
        asio::io_context io(1);
        std::map<std::string, int> lines;
        const Behaviour note = [&lines](Socket& socket) -> asio::awaitable<void> {
            for (;;) {
                const std::string request = co_await read_request(socket);
                if (request.empty()) co_return;
                ++lines[request.substr(0, request.find("\r\n"))];
                co_await answer(socket, kHello);
            }
        };
        TcpServer server(io, kAnyPort, note);
        const Target target = Target::parse("http://127.0.0.1:" + std::to_string(server.port()) + "/base/");
        Generator generator(io, {.target = target, .connections = 2, .duration = 200ms},
                            Scenario::mailroom(target, true), [&server] { server.close(); });
        generator.start();
        io.run();
        QCOMPARE(generator.report().failed(), std::uint64_t{0});
        QCOMPARE(lines.size(), std::size_t{2});
        QVERIFY(lines["GET /base/hello HTTP/1.1"] > 0);
        QVERIFY(lines["POST /base/classify HTTP/1.1"] > lines["GET /base/hello HTTP/1.1"]);
    }

    void unix_sockets_work() {
        const QTemporaryDir directory;
        const std::string path = directory.filePath("server.sock").toStdString();
        asio::io_context io(1);
        Server<asio::local::stream_protocol> server(io, asio::local::stream_protocol::endpoint(path),
                                                    always(kHello));
        const QByteArray escaped = QByteArray::fromStdString(path).toPercentEncoding();
        const Target target = Target::parse("http+unix://" + escaped.toStdString() + "/hello");
        Generator generator(io, {.target = target, .connections = 2, .duration = 100ms}, get(target),
                            [&server] { server.close(); });
        generator.start();
        io.run();
        QVERIFY(generator.report().requests > 0);
        QCOMPARE(generator.report().failed(), std::uint64_t{0});
    }

    void stopping_early_ends_what_is_under_way_and_no_more() {
        asio::io_context io(1);
        TcpServer server(io, kAnyPort, always(kHello));
        const Target target = target_at(server.port());
        Generator generator(io, {.target = target, .connections = 2, .duration = 1h}, get(target),
                            [&server] { server.close(); });
        generator.start();
        asio::steady_timer timer(io, 50ms);
        timer.async_wait([&generator](const boost::system::error_code&) { generator.stop(); });
        io.run();
        QVERIFY(generator.report().requests > 0);
        QCOMPARE(generator.report().failed(), std::uint64_t{0});
    }

    void the_report_is_json() {
        const Report report = run(always(kHello), closed_loop()).report;
        const auto document = nlohmann::json::parse(report.to_json());
        QCOMPARE(document["requests"].get<std::uint64_t>(), report.requests);
        QCOMPARE(document["status_classes"]["2xx"].get<std::uint64_t>(), report.requests);
        QCOMPARE(document["failures"]["timeout"].get<int>(), 0);
        QVERIFY(document["latency_seconds"]["p99"].get<double>() > 0);
    }
};

QTEST_GUILESS_MAIN(LoadGeneratorTest)
#include "test_load_generator.moc"
