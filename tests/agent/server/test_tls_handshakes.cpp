// Many clients that begin their handshakes in one moment: the worker stands still until all have said hello.
#include <signal.h>

#include <QTest>
#include <vector>

#include "http_client.hpp"
#include "server_test_main.hpp"
#include "tests/support/certificates.hpp"
#include "tls_client.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

constexpr auto kRequest = "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

}  // namespace

class TlsHandshakesTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() {
        ::signal(SIGPIPE, SIG_IGN);  // of clients whose worker has closed
        certificates_.make("slow", {.rsa_bits = "3072"});
        certificates_.make("alice");
        certificates_.make("mallory", {.authority = "stranger"});
        certificates_.make("next");
    }
    void init() { listener_ = {.tls = server_tls(certificates_)}; }
    void cleanup() { worker_.reset(); }

    void a_crowd_is_served_and_so_is_who_comes_in_between_data();
    void a_crowd_is_served_and_so_is_who_comes_in_between();
    void a_single_client_stays_on_the_loop();
    void no_thread_is_used_where_none_is_wanted();
    void failures_are_counted_by_their_reasons();
    void sessions_are_resumed();
    void a_drain_finishes_what_was_accepted();
    void a_worker_that_ends_at_once_leaves_nobody_waiting();
    void a_deadline_ends_who_waits_for_the_thread();
    void certificates_and_ticket_keys_change_meanwhile();

private:
    /// With a key that takes milliseconds to sign.
    void use_slow_key() {
        listener_.tls->certificate = certificates_.file("slow.pem");
        listener_.tls->key = certificates_.file("slow.key");
    }
    void start() {
        worker_ = std::make_unique<WorkerProcesses>(test_router(), listener_);
        worker_->start();
    }
    using Identity = TlsClient::Identity;
    Identity identity(const char* name) const {
        return {.certificate = certificates_.file(QString(name) + ".pem"),
                .key = certificates_.file(QString(name) + ".key")};
    }
    /// All have said hello before the worker hears of any.
    std::vector<TlsClient> crowd(std::size_t size, const Identity& identity = {}) {
        worker_->pause(0);
        std::vector<TlsClient> clients = join(size, identity);
        worker_->signal(0, SIGCONT);
        return clients;
    }
    std::vector<TlsClient> join(std::size_t size, const Identity& identity) const {
        std::vector<TlsClient> clients;
        while (clients.size() < size)
            clients.emplace_back(worker_->address(), identity);
        return clients;
    }
    std::uint64_t handshakes(const char* result) {
        return worker_->counter("tls_handshakes_total", {{"result", result}});
    }
    std::uint64_t off_loop() { return worker_->counter("tls_handshakes_off_loop_total"); }
    /// Every connection that was accepted has been counted as something, once.
    bool all_are_accounted_for() {
        std::uint64_t ended = worker_->counter("connections_served_total");
        for (const char* const reason : {"client", "deadline", "handler", "transport", "worker_ended"})
            ended += worker_->counter("connections_failed_total", {{"reason", reason}});
        return ended == worker_->counter("connections_accepted_total");
    }

    Certificates certificates_;
    ListenerOptions listener_;
    std::unique_ptr<WorkerProcesses> worker_;
};

void TlsHandshakesTest::a_crowd_is_served_and_so_is_who_comes_in_between_data() {
    QTest::addColumn<int>("version");
    QTest::newRow("TLS 1.2") << TLS1_2_VERSION;
    QTest::newRow("TLS 1.3") << TLS1_3_VERSION;
}

void TlsHandshakesTest::a_crowd_is_served_and_so_is_who_comes_in_between() {
    QFETCH(int, version);
    constexpr std::size_t kSize = 200;
    listener_.tls->policy = TlsPolicy::optional;
    start();
    HttpClient plain(worker_->address());
    plain.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    QCOMPARE(plain.read().body, std::string("Hello!\n"));
    std::vector<TlsClient> clients = crowd(kSize, {.version = version});
    plain.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    QCOMPARE(plain.read().body, std::string("Hello!\n"));
    for (TlsClient& client : clients) {
        QVERIFY(client.connect());
        QVERIFY(client.ask(kRequest).ends_with("\r\n\r\nHello!\n"));
    }
    QCOMPARE(handshakes("full"), kSize);
    QVERIFY(off_loop() > 0);
    QVERIFY(off_loop() <= kSize);
    QVERIFY(worker_->distribution("tls_handshake_thread_wait_seconds").count() >= off_loop());
    QCOMPARE(worker_->stop(0), 0);
    QVERIFY(all_are_accounted_for());
}

void TlsHandshakesTest::a_single_client_stays_on_the_loop() {
    start();
    TlsClient client(worker_->address());
    QVERIFY(client.connect());
    QVERIFY(client.ask(kRequest).ends_with("\r\n\r\nHello!\n"));
    QCOMPARE(handshakes("full"), 1u);
    QCOMPARE(off_loop(), 0u);
}

void TlsHandshakesTest::no_thread_is_used_where_none_is_wanted() {
    listener_.tls->handshake_thread = false;
    start();
    for (TlsClient& client : crowd(50))
        QVERIFY(client.connect());
    QTRY_COMPARE_WITH_TIMEOUT(handshakes("full"), 50u, 20'000);
    QCOMPARE(off_loop(), 0u);
}

void TlsHandshakesTest::failures_are_counted_by_their_reasons() {
    constexpr std::size_t kEach = 20;
    use_slow_key();
    listener_.tls->client_certificates = ClientCertificates::required;
    listener_.tls->client_authority = certificates_.file("authority.pem");
    start();
    worker_->pause(0);
    std::vector<TlsClient> good = join(kEach, identity("alice"));
    std::vector<TlsClient> nobodies = join(kEach, {});
    std::vector<TlsClient> strangers = join(kEach, identity("mallory"));
    std::vector<HttpClient> garbage;
    while (garbage.size() < kEach) {
        garbage.emplace_back(worker_->address());
        garbage.back().send(std::string_view("\x16\x03\x01\x00\x08gggggggg", 13));
    }
    worker_->signal(0, SIGCONT);
    for (TlsClient& client : good) {
        QVERIFY(client.connect());
        QVERIFY(client.ask(kRequest).ends_with("\r\n\r\nHello!\n"));
    }
    // In TLS 1.3 a client that has said everything takes itself for connected, until it reads the alert.
    for (auto* const bad : {&nobodies, &strangers})
        for (TlsClient& client : *bad)
            QVERIFY(!client.connect() || client.ask(kRequest).empty());
    for (HttpClient& client : garbage) {
        char answer[64];
        QVERIFY(::recv(client.descriptor(), answer, sizeof answer, 0) > 0);
        QCOMPARE(answer[0], '\x15');
    }
    QTRY_COMPARE_WITH_TIMEOUT(handshakes("client_certificate"), 2 * kEach, 20'000);
    QTRY_COMPARE_WITH_TIMEOUT(handshakes("malformed"), kEach, 20'000);
    QCOMPARE(handshakes("full"), kEach);
    QCOMPARE(handshakes("disconnected") + handshakes("refused_by_client"), 0u);
    QVERIFY(off_loop() > kEach);
}

void TlsHandshakesTest::sessions_are_resumed() {
    constexpr std::size_t kSize = 50;
    start();
    TlsClient first(worker_->address());
    QVERIFY(first.connect());
    first.ask(kRequest);
    TlsClient::Session session = first.session();
    for (int round = 0; round < 3; ++round) {
        TlsClient::Session next;
        for (TlsClient& client : crowd(kSize, {.session = session.get()})) {
            QVERIFY(client.connect());
            client.ask(kRequest);
            QVERIFY(client.resumed());
            next = client.session();  // most of them have been given theirs by the thread
        }
        session = std::move(next);
    }
    QCOMPARE(handshakes("resumed"), 3 * kSize);
    QVERIFY(off_loop() > 0);
}

void TlsHandshakesTest::a_drain_finishes_what_was_accepted() {
    use_slow_key();
    start();
    std::vector<TlsClient> clients = crowd(100);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->counter("connections_accepted_total"), 100u, 20'000);
    QTRY_VERIFY_WITH_TIMEOUT(off_loop() > 0, 20'000);
    worker_->signal(0, SIGTERM);
    for (TlsClient& client : clients) {
        QVERIFY(client.connect());
        QVERIFY(client.ask(kRequest).ends_with("\r\n\r\nHello!\n"));
    }
    QCOMPARE(worker_->wait(0), 0);
    QVERIFY(all_are_accounted_for());
    QCOMPARE(worker_->counter("connections_failed_total", {{"reason", "worker_ended"}}), 0u);
}

void TlsHandshakesTest::a_worker_that_ends_at_once_leaves_nobody_waiting() {
    use_slow_key();
    start();
    std::vector<TlsClient> clients = crowd(100);
    QTRY_VERIFY_WITH_TIMEOUT(off_loop() > 0, 20'000);
    worker_->signal(0, SIGQUIT);
    QCOMPARE(worker_->wait(0), 0);
    QVERIFY(all_are_accounted_for());
}

void TlsHandshakesTest::a_deadline_ends_who_waits_for_the_thread() {
    use_slow_key();
    listener_.tls->handshake_deadline = 1ms;
    start();
    std::vector<TlsClient> clients = crowd(100);
    for (TlsClient& client : clients)
        if (client.connect()) client.ask(kRequest);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QVERIFY(off_loop() > 0);
    std::uint64_t ended = 0;
    for (const char* const result : {"full", "deadline", "disconnected"})
        ended += handshakes(result);
    QCOMPARE(ended, clients.size());
    QCOMPARE(worker_->stop(0), 0);
    QVERIFY(all_are_accounted_for());
}

void TlsHandshakesTest::certificates_and_ticket_keys_change_meanwhile() {
    start();
    std::string server = "server";
    std::size_t clients = 0;
    for (int round = 0; server != "next"; ++round) {
        QVERIFY(round < 2000);
        if (round == 3) {
            certificates_.put("next.pem", "server.pem");
            certificates_.put("next.key", "server.key");
        }
        if (round < 2) worker_->rotate_ticket_keys();
        for (TlsClient& client : crowd(30)) {
            QVERIFY(client.connect());
            QVERIFY(client.ask(kRequest).ends_with("\r\n\r\nHello!\n"));
            server = client.server();
            ++clients;
        }
    }
    QCOMPARE(handshakes("full"), clients);
    QVERIFY(off_loop() > 0);
    QCOMPARE(worker_->counter("tls_reloads_total", {{"result", "done"}}), 1u);
}

SERVER_TEST_MAIN(TlsHandshakesTest)
#include "test_tls_handshakes.moc"
