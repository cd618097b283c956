// A client that does not read: it loses whole ticks, never parts, and nothing else; then it is disconnected.
#include <sys/socket.h>
#include <unistd.h>

#include <QTest>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/read.hpp>
#include <memory>
#include <thread>

#include "agent/service/stream_session.hpp"
#include "common/wire/codec.hpp"
#include "tests/agent/service/fake_group.hpp"
#include "tests/agent/service/stream_client.hpp"

using namespace signalbox;
using namespace signalbox::service;
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

struct NoCommands : Commands {
    void ask(supervisor::Command, Done done) override { done({}); }
};

/// About 1 MiB.
Frame tick(std::uint64_t number) {
    wire::Tick tick;
    tick.number = number;
    tick.workers.resize(70);
    for (wire::Worker& worker : tick.workers)
        worker.activity = std::string(15'000, 'x');
    return Frame(wire::encode(tick));
}

/// A session in this process; the client, which blocks, connects from a thread.
struct Pair {
    Pair() {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) qFatal("socketpair");
        std::thread connecting([this, end = ends[1]] {
            client = std::make_unique<StreamClient>(end);
            client->receive_json();  // hello: the session is open at both ends
            connected = true;
        });
        PeerStream stream(PeerStream::Socket(io, asio::generic::stream_protocol(AF_UNIX, 0), ends[0]));
        boost::beast::flat_buffer buffer;
        http::request_parser<http::string_body> parser;
        http::async_read(stream, buffer, parser, [](boost::system::error_code error, std::size_t) {
            if (error) qFatal("no request");
        });
        io.run();
        io.restart();
        session = std::make_shared<StreamSession>(std::move(stream), Principal{"uid 0", Role::operator_}, rpc,
                                                  feeds, nullptr, [] {});
        session->run(parser.release(), R"({"jsonrpc":"2.0","method":"hello"})");
        while (!connected)
            io.run_for(std::chrono::milliseconds(1));
        connecting.join();
    }

    FakeGroup group;
    telemetry::SegmentView view{group.segment().descriptor()};
    Feeds feeds{view, Clock::now()};
    Authorizer authorizer{{}};
    NoCommands commands;
    Rpc rpc{view, feeds, authorizer, commands};
    asio::io_context io;
    std::shared_ptr<StreamSession> session;
    std::unique_ptr<StreamClient> client;
    std::atomic<bool> connected = false;
};

}  // namespace

class TestStreamSession : public QObject {
    Q_OBJECT
private slots:
    void a_slow_client_loses_whole_ticks_only();
    void a_client_that_never_reads_is_disconnected();
};

void TestStreamSession::a_slow_client_loses_whole_ticks_only() {
    Pair pair;
    wire::Directory directory;
    directory.instruments.resize(1);
    for (std::uint64_t number = 1; number <= 50; ++number)
        pair.session->deliver(tick(number), Loss::allowed);
    pair.session->deliver(Frame(wire::encode(directory)), Loss::never);

    std::atomic<bool> stop = false;
    std::thread serving([&] {
        while (!stop)
            pair.io.run_for(std::chrono::milliseconds(5));
    });
    std::vector<std::uint64_t> numbers;
    bool found = false;
    while (!found) {
        const StreamClient::Message message = pair.client->receive();
        const auto* binary = std::get_if<wire::Message>(&message);
        if (!binary) continue;
        if (const auto* received = std::get_if<wire::Tick>(binary))
            numbers.push_back(received->number);
        else
            found = std::get<wire::Directory>(*binary).instruments.size() == 1;
    }
    // Having caught up, it gets what comes next.
    asio::post(pair.io, [&] { pair.session->deliver(tick(51), Loss::allowed); });
    numbers.push_back(pair.client->receive_next<wire::Tick>().number);
    stop = true;
    serving.join();
    QVERIFY(numbers.size() > 5 && numbers.size() < 12);
    for (std::size_t i = 0; i + 1 < numbers.size(); ++i)
        QCOMPARE(numbers[i], i + 1);
    QCOMPARE(numbers.back(), 51u);
}

void TestStreamSession::a_client_that_never_reads_is_disconnected() {
    Pair pair;
    const std::weak_ptr<StreamSession> session = pair.session;
    const Frame events(std::string(1 << 20, 'x'));
    for (int i = 0; i < 40; ++i)
        pair.session->deliver(events, Loss::never);
    pair.session.reset();
    pair.io.restart();
    pair.io.run_for(std::chrono::seconds(10));
    QVERIFY(session.expired());
}

QTEST_GUILESS_MAIN(TestStreamSession)
#include "test_stream_session.moc"
