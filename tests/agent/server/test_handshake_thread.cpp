// Connections whose handshake is with the handshake thread, which stands still as long as a test wants it to.
#define QT_NO_EMIT
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <QTest>
#include <array>
#include <future>

#include "agent/server/transport/handshake_thread.hpp"
#include "agent/server/transport/reception.hpp"
#include "server_test_main.hpp"
#include "tls_client.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace signalbox::server;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;

/// The thread stands still in it until it is opened.
class Gate final : public HandshakeThread::Job {
public:
    ~Gate() override { open(); }
    void run() noexcept override {
        entered_.set_value();
        opened_.get_future().wait();
    }
    void back(std::uint64_t, std::uint64_t) override {}
    void wait_until_entered() { entered_.get_future().wait(); }
    void open() {
        if (!std::exchange(is_open_, true)) opened_.set_value();
    }

private:
    std::promise<void> entered_;
    std::promise<void> opened_;
    bool is_open_ = false;
};

/// Counts what it is given, and closes it.
class Counting final : public StreamService {
public:
    void serve(PlainStream stream, std::string, std::uint64_t) override {
        ++plain;
        stream.close();
    }
    void serve(TlsStream stream, std::string, std::uint64_t) override {
        ++tls;
        stream.close();
    }
    std::string_view tls_required() const override { return {}; }
    unsigned plain = 0;
    unsigned tls = 0;
};

/// A worker without its process: its event loop is turned by hand, and always late.
struct Stage {
    explicit Stage(const Certificates& certificates)
        : Stage(ListenerOptions{.tls = [&] {
              TlsOptions tls = server_tls(certificates);
              tls.policy = TlsPolicy::optional;
              return tls;
          }()}) {}
    explicit Stage(const ListenerOptions& options)
        : telemetry({.group = "test", .max_workers = 1, .instruments = 64}),
          shared(make_transport(options, telemetry)),
          metrics(telemetry) {
        telemetry::Seat& place = *telemetry.segment().seat(0);
        place.generation.store(1);
        place.pid.store(static_cast<std::uint32_t>(::getpid()));
        telemetry.attach(0);
        handshakes->take(gate, telemetry::monotonic_ns());
        gate->wait_until_entered();
    }
    /// As a worker: the thread ends before the TLS context that it uses.
    ~Stage() {
        gate->open();
        handshakes.reset();
    }

    /// The other end's descriptor.
    int connect() {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0)
            qFatal("socketpair");
        waiting = ends[0];
        return ends[1];
    }
    /// The last one that has connected.
    void accept() {
        const sockaddr_storage peer{.ss_family = AF_UNIX, .__ss_padding = {}, .__ss_align = 0};
        std::make_shared<Reception>(context, transport, PolledSocket(context.poller, waiting), peer)
            ->start(telemetry::monotonic_ns());
    }
    TlsClient accept_client() {
        TlsClient client(connect());
        accept();
        return client;
    }
    void turn() {
        context.io.restart();
        for (int idle = 0; idle < 8;
             ++idle)  // what the poller itself delivers does not count as done by `io`
            if (context.io.poll() > 0) idle = -1;
    }
    template <class Condition>
    bool turn_until(Condition condition) {
        for (int i = 0; i < 20'000 && !condition(); ++i) {
            turn();
            QTest::qSleep(1);
        }
        return condition();
    }
    std::uint64_t result(const char* name) {
        return count_of(telemetry, "tls_handshakes_total", {{"result", name}});
    }
    std::uint64_t failed(const char* reason) {
        return count_of(telemetry, "connections_failed_total", {{"reason", reason}});
    }
    std::uint64_t off_loop() { return count_of(telemetry, "tls_handshakes_off_loop_total"); }
    void pass_an_hour() { context.deadlines.advance(telemetry::monotonic_ns() + 3'600'000 * kMillisecond); }

    Telemetry telemetry;
    std::shared_ptr<Transport> shared;
    ServerMetrics metrics;
    telemetry::SeatWriter seat{telemetry.segment(), 0};
    TurnBegan turn_began{1};  ///< long ago: the loop is behind
    WorkerContext context{seat, metrics};
    Counting service;
    std::shared_ptr<Gate> gate = std::make_shared<Gate>();
    std::unique_ptr<HandshakeThread> handshakes = std::make_unique<HandshakeThread>(context.io, turn_began);
    WorkerTransport transport{*shared, service, *handshakes};
    int waiting = -1;
};

bool has_ended(int descriptor) {
    char byte = 0;
    return ::recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

}  // namespace

class HandshakeThreadTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { ::signal(SIGPIPE, SIG_IGN); }
    void a_loop_is_behind_when_its_steps_take_too_much_time();
    void a_late_loop_is_behind();
    void a_full_queue_refuses();
    void others_are_served_while_a_handshake_is_away();
    void a_deadline_waits_for_the_thread();
    void a_client_that_leaves_meanwhile_is_counted();
    void a_failure_is_told_by_the_thread_that_saw_it();
    void the_end_drops_what_waits();

private:
    Certificates certificates_;
};

void HandshakeThreadTest::a_loop_is_behind_when_its_steps_take_too_much_time() {
    boost::asio::io_context io;
    TurnBegan turn_began{1000 * kMillisecond};
    HandshakeThread thread(io, turn_began);
    const std::uint64_t now = 1000 * kMillisecond;
    QVERIFY(!thread.behind(now, true));
    thread.spent(now, now + kMillisecond / 10);
    QVERIFY(!thread.behind(now, true));  // as in a batch of which all began at the same time
    thread.spent(now, now + kMillisecond / 5);
    QVERIFY(!thread.behind(now, true));
    thread.spent(now, now + kMillisecond / 2);
    QVERIFY(thread.behind(now, true));
    QVERIFY(thread.behind(now + kMillisecond / 2, true));
    QVERIFY(!thread.behind(now + kMillisecond * 3 / 2, true));
}

void HandshakeThreadTest::a_late_loop_is_behind() {
    boost::asio::io_context io;
    TurnBegan turn_began{1000 * kMillisecond};
    HandshakeThread thread(io, turn_began);
    QVERIFY(!thread.behind(1010 * kMillisecond, true));
    QVERIFY(thread.behind(1100 * kMillisecond, true));
    turn_began = 1100 * kMillisecond;
    QVERIFY(!thread.behind(1100 * kMillisecond, true));
    turn_began = 0;  // it waited for something to do
    QVERIFY(!thread.behind(1300 * kMillisecond, true));
}

void HandshakeThreadTest::a_full_queue_refuses() {
    Stage stage(certificates_);
    std::vector<TlsClient> clients;
    for (std::size_t i = 0; i < HandshakeThread::kMostWaiting; ++i)
        clients.push_back(stage.accept_client());
    QCOMPARE(stage.off_loop(), HandshakeThread::kMostWaiting);
    TlsClient one_more = stage.accept_client();  // has its answer from the loop
    QVERIFY(one_more.advance());
    QVERIFY(stage.turn_until([&] { return stage.service.tls == 1; }));
    QCOMPARE(stage.off_loop(), HandshakeThread::kMostWaiting);
    stage.gate->open();
    QVERIFY(stage.turn_until([&] {
        for (TlsClient& client : clients)
            client.advance();
        return stage.service.tls == clients.size() + 1;
    }));
    QCOMPARE(stage.result("full"), clients.size() + 1);
}

void HandshakeThreadTest::others_are_served_while_a_handshake_is_away() {
    Stage stage(certificates_);
    TlsClient client = stage.accept_client();
    const int plain = stage.connect();
    QCOMPARE(::send(plain, "GET", 3, 0), 3);
    stage.accept();
    QCOMPARE(stage.service.plain, 1u);
    stage.turn();
    QCOMPARE(stage.service.tls, 0u);
    stage.gate->open();
    QVERIFY(stage.turn_until([&] { return client.advance() && stage.service.tls == 1; }));
    QVERIFY(stage.context.connections.empty());
    ::close(plain);
}

void HandshakeThreadTest::a_deadline_waits_for_the_thread() {
    Stage stage(certificates_);
    const int other = stage.connect();
    TlsClient client(other);
    stage.accept();
    stage.pass_an_hour();
    stage.context.make_room(telemetry::monotonic_ns() + 3'600'000 * kMillisecond);
    stage.turn();
    QCOMPARE(stage.context.open, 1u);
    QVERIFY(!has_ended(other));
    QCOMPARE(stage.result("deadline"), 0u);
    stage.gate->open();
    QVERIFY(stage.turn_until([&] { return stage.context.open == 0; }));
    QCOMPARE(stage.result("deadline"), 1u);
    QCOMPARE(stage.failed("transport"), 1u);
    QVERIFY(!client.connect());
}

void HandshakeThreadTest::a_client_that_leaves_meanwhile_is_counted() {
    Stage stage(certificates_);
    static_cast<void>(stage.accept_client());
    stage.gate->open();
    QVERIFY(stage.turn_until([&] { return stage.context.open == 0; }));
    QCOMPARE(stage.result("disconnected"), 1u);
    QCOMPARE(stage.off_loop(), 1u);
}

void HandshakeThreadTest::a_failure_is_told_by_the_thread_that_saw_it() {
    Stage stage(certificates_);
    const int other = stage.connect();
    QCOMPARE(::send(other, "\x16\x03\x01\x00\x08gggggggg", 13, 0), 13);
    stage.accept();
    QCOMPARE(stage.off_loop(), 1u);
    stage.gate->open();
    QVERIFY(stage.turn_until([&] { return stage.context.open == 0; }));
    QCOMPARE(stage.result("malformed"), 1u);
    ::close(other);
}

void HandshakeThreadTest::the_end_drops_what_waits() {
    Stage stage(certificates_);
    std::vector<int> others;
    std::vector<TlsClient> clients;
    for (int i = 0; i < 3; ++i) {
        others.push_back(stage.connect());
        clients.emplace_back(others.back());
        stage.accept();
    }
    auto ending = std::async(std::launch::async, [&] { stage.gate->open(); });
    stage.handshakes.reset();
    ending.get();
    stage.context.poller.abandon_all();
    stage.turn();
    QCOMPARE(stage.failed("worker_ended") + stage.context.open, 3u);
    QCOMPARE(stage.service.tls, 0u);
}

SERVER_TEST_MAIN(HandshakeThreadTest)
#include "test_handshake_thread.moc"
