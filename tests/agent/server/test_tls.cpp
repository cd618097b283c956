// TLS listeners under clients that nobody here has written, and under some that misbehave.
#include <QProcess>
#include <QTemporaryFile>
#include <QTest>

#include "http_client.hpp"
#include "server_test_main.hpp"
#include "tests/support/certificates.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

class TlsTest : public QObject {
    Q_OBJECT

private slots:
    void init() { listener_ = {.tls = server_tls(certificates_)}; }
    void cleanup() { worker_.reset(); }

    void serves_curl_on_one_connection();
    void carries_large_bodies_both_ways();
    void agrees_on_http_1_1();
    void speaks_tls_1_2_unless_1_3_is_asked_for();
    void refuses_what_is_older_than_the_least_version();
    void asks_for_certificates_of_clients();
    void lets_clients_without_a_certificate_in_where_it_is_optional();
    void says_goodbye();
    void a_client_that_leaves_in_the_handshake_is_counted();
    void a_client_that_stops_in_the_handshake_is_closed();
    void a_client_that_says_nothing_is_closed();
    void garbage_gets_an_alert();
    void plain_text_is_told_to_speak_tls();
    void one_port_speaks_both_where_tls_is_optional();
    void a_slow_first_byte_is_waited_for();
    void an_idle_connection_does_not_hold_up_a_drain();
    void who_is_turned_away_gets_an_alert();
    void options_that_cannot_work_are_refused_at_once_data();
    void options_that_cannot_work_are_refused_at_once();

private:
    void start() {
        worker_ = std::make_unique<WorkerProcesses>(test_router(), listener_);
        worker_->start();
    }
    QString url(const char* path, const char* scheme = "https://") const {
        return scheme + QString::fromStdString(worker_->address()) + path;
    }
    ProgramOutput get(const QStringList& more, const char* path = "/hello") const {
        return curl(certificates_.trust() + more + QStringList{url(path)});
    }
    std::uint64_t handshakes(const char* result) {
        return worker_->counter("tls_handshakes_total", {{"result", result}});
    }

    Certificates certificates_;
    ListenerOptions listener_;
    std::unique_ptr<WorkerProcesses> worker_;
};

void TlsTest::serves_curl_on_one_connection() {
    start();
    const QByteArray out =
        get({"--write-out", "%{num_connects} %{ssl_verify_result} ", url("/hello"), url("/query?x")}).out;
    QCOMPARE(out, QByteArray("Hello!\n1 0 x0 0 Hello!\n0 0 "));
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QCOMPARE(handshakes("full"), 1u);
    QCOMPARE(worker_->distribution("tls_handshake_duration_seconds").count(), 1u);
    QCOMPARE(worker_->stop(0), 0);
}

void TlsTest::carries_large_bodies_both_ways() {
    start();
    QVERIFY(get({}, "/large").out == QByteArray(8 << 20, 'x'));
    QTemporaryFile file;
    QVERIFY(file.open());
    const QByteArray body(3 << 20, 'b');
    file.write(body);
    file.flush();
    QVERIFY(get({"--data-binary", "@" + file.fileName()}, "/echo").out == body);
    QVERIFY(get({"--limit-rate", "8M"}, "/large").out == QByteArray(8 << 20, 'x'));
}

void TlsTest::agrees_on_http_1_1() {
    start();
    QVERIFY(s_client(worker_->address(), {"-alpn", "h2,http/1.1"}).out.contains("ALPN protocol: http/1.1"));
    QVERIFY(s_client(worker_->address(), {"-alpn", "h2"}).status != 0);
    QTRY_COMPARE_WITH_TIMEOUT(handshakes("no_common_ground"), 1u, 20'000);
}

void TlsTest::speaks_tls_1_2_unless_1_3_is_asked_for() {
    start();
    QVERIFY(s_client(worker_->address(), {"-tls1_2"}).out.contains("TLSv1.2, Cipher is ECDHE-ECDSA-AES"));
    QVERIFY(s_client(worker_->address(), {}).out.contains("TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384"));
}

void TlsTest::refuses_what_is_older_than_the_least_version() {
    listener_.tls->least_version = TlsVersion::tls_1_3;
    start();
    QVERIFY(get({"--tls-max", "1.2"}).status != 0);
    QCOMPARE(get({}).out, QByteArray("Hello!\n"));
    QCOMPARE(handshakes("no_common_ground"), 1u);
    QCOMPARE(handshakes("full"), 1u);
}

void TlsTest::asks_for_certificates_of_clients() {
    certificates_.make("alice");
    certificates_.make("mallory", {.authority = "stranger"});
    listener_.tls->client_certificates = ClientCertificates::required;
    listener_.tls->client_authority = certificates_.file("authority.pem");
    start();
    QCOMPARE(get(certificates_.client("alice")).out, QByteArray("Hello!\n"));
    QCOMPARE(get(certificates_.client("mallory")).out, QByteArray());
    QCOMPARE(get({}).out, QByteArray());
    QTRY_COMPARE_WITH_TIMEOUT(handshakes("client_certificate"), 2u, 20'000);
    QCOMPARE(handshakes("full"), 1u);
}

void TlsTest::lets_clients_without_a_certificate_in_where_it_is_optional() {
    certificates_.make("mallory", {.authority = "stranger"});
    listener_.tls->client_certificates = ClientCertificates::optional;
    listener_.tls->client_authority = certificates_.file("authority.pem");
    start();
    QCOMPARE(get({}).out, QByteArray("Hello!\n"));
    QCOMPARE(get(certificates_.client("mallory")).out, QByteArray());
}

/// Without close_notify s_client would say "unexpected eof".
void TlsTest::says_goodbye() {
    start();
    const auto answer = s_client(worker_->address(), {"-quiet", "-ign_eof"},
                                 "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    QVERIFY(answer.out.endsWith("\r\n\r\nHello!\n"));
    QVERIFY2(!answer.all.contains("unexpected eof"), answer.all.constData());
}

void TlsTest::a_client_that_leaves_in_the_handshake_is_counted() {
    start();
    {
        HttpClient client(worker_->address());
        client.send(std::string_view("\x16\x03\x01\x02\x00\x01", 6));
        QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 1u, 20'000);
    }
    QTRY_COMPARE_WITH_TIMEOUT(handshakes("disconnected"), 1u, 20'000);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
}

void TlsTest::a_client_that_stops_in_the_handshake_is_closed() {
    listener_.tls->handshake_deadline = 300ms;
    start();
    HttpClient client(worker_->address());
    client.send(std::string_view("\x16\x03\x01\x02\x00\x01", 6));
    QVERIFY(client.ends());
    QCOMPARE(handshakes("deadline"), 1u);
    QCOMPARE(worker_->stop(0), 0);
}

void TlsTest::a_client_that_says_nothing_is_closed() {
    listener_.tls->handshake_deadline = 300ms;
    start();
    QVERIFY(HttpClient(worker_->address()).ends());
    QCOMPARE(handshakes("deadline"), 1u);
}

void TlsTest::garbage_gets_an_alert() {
    start();
    HttpClient client(worker_->address());
    client.send(std::string_view("\x16\x03\x01\x00\x08gggggggg", 13));
    char answer[64];
    QVERIFY(::recv(client.descriptor(), answer, sizeof answer, 0) > 0);
    QCOMPARE(answer[0], '\x15');
    QVERIFY(client.ends());
    QTRY_COMPARE_WITH_TIMEOUT(handshakes("malformed"), 1u, 20'000);
}

void TlsTest::plain_text_is_told_to_speak_tls() {
    start();
    const Reply reply = ask(worker_->address(), "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    QCOMPARE(reply.status, 400);
    QVERIFY(reply.body.find("speaks TLS; use https://") != reply.body.npos);
    const QByteArray out = curl({url("/hello", "http://")}).out;
    QVERIFY2(out.contains("speaks TLS; use https://") && out.endsWith("\n"), out.constData());
    QCOMPARE(handshakes("plain_text"), 2u);
}

void TlsTest::one_port_speaks_both_where_tls_is_optional() {
    listener_.tls->policy = TlsPolicy::optional;
    start();
    QCOMPARE(get({}).out, QByteArray("Hello!\n"));
    QCOMPARE(curl({url("/hello", "http://")}).out, QByteArray("Hello!\n"));
    QCOMPARE(handshakes("full"), 1u);
    QCOMPARE(handshakes("plain_text"), 0u);
}

void TlsTest::a_slow_first_byte_is_waited_for() {
    listener_.tls->policy = TlsPolicy::optional;
    start();
    HttpClient client(worker_->address());
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 1u, 20'000);
    for (const char byte : std::string("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")) {
        client.send({&byte, 1});
        QTest::qSleep(2);
    }
    QCOMPARE(client.read().status, 200);
}

void TlsTest::an_idle_connection_does_not_hold_up_a_drain() {
    start();
    HttpClient silent(worker_->address());
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 1u, 20'000);
    QCOMPARE(worker_->stop(0), 0);
    QVERIFY(silent.ends());
}

void TlsTest::who_is_turned_away_gets_an_alert() {
    listener_.queue_capacity = 1;
    start();
    QProcess spinning;
    spinning.start("curl", QStringList{"--silent", "--noproxy", "*"} + certificates_.trust() +
                               QStringList{url("/spin?ms=1500")});
    QTRY_VERIFY_WITH_TIMEOUT(worker_->seat().activity.length.load() != 0, 20'000);
    const HttpClient waiting(worker_->address());
    QTRY_COMPARE_WITH_TIMEOUT(worker_->waiting(), 1u, 20'000);
    const HttpClient shed(worker_->address());
    char first = 0;
    QCOMPARE(::recv(shed.descriptor(), &first, 1, 0), 1);
    QCOMPARE(first, '\x15');
    QVERIFY(spinning.waitForFinished());
    QCOMPARE(spinning.readAllStandardOutput(), QByteArray("spun\n"));
}

void TlsTest::options_that_cannot_work_are_refused_at_once_data() {
    QTest::addColumn<QString>("certificate");
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("authority");
    QTest::addColumn<QString>("complaint");
    certificates_.make("other");
    QCOMPARE(run_program("openssl", {"pkey", "-in", QString::fromStdString(certificates_.file("server.key")),
                                     "-out", QString::fromStdString(certificates_.file("secret.key")),
                                     "-aes128", "-passout", "pass:x"})
                 .status,
             0);
    QTest::newRow("no file") << "missing.pem"
                             << "server.key"
                             << ""
                             << "No such file";
    QTest::newRow("no certificate") << "server.key"
                                    << "server.key"
                                    << ""
                                    << "TLS certificate '";
    QTest::newRow("no key") << "server.pem"
                            << "server.pem"
                            << ""
                            << "it must hold one PEM key";
    QTest::newRow("a key with a passphrase") << "server.pem"
                                             << "secret.key"
                                             << ""
                                             << "without a passphrase";
    QTest::newRow("another's key") << "server.pem"
                                   << "other.key"
                                   << ""
                                   << "does not belong to certificate '";
    QTest::newRow("no authority") << "server.pem"
                                  << "server.key"
                                  << "server.key"
                                  << "TLS client authority '";
}

void TlsTest::options_that_cannot_work_are_refused_at_once() {
    QFETCH(QString, certificate);
    QFETCH(QString, key);
    QFETCH(QString, authority);
    QFETCH(QString, complaint);
    listener_.tls->certificate = certificates_.file(certificate);
    listener_.tls->key = certificates_.file(key);
    if (!authority.isEmpty()) {
        listener_.tls->client_certificates = ClientCertificates::required;
        listener_.tls->client_authority = certificates_.file(authority);
    }
    try {
        const WorkerProcesses worker(test_router(), listener_);
        QFAIL("it was taken");
    } catch (const std::invalid_argument& error) {
        QVERIFY2(QString(error.what()).contains(complaint), error.what());
    }
}

SERVER_TEST_MAIN(TlsTest)
#include "test_tls.moc"
