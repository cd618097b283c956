// The PROXY protocol: the header as bytes, whom it is believed from, and what a server makes of it.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <QTest>
#include <cstring>

#include "agent/server/address.hpp"
#include "agent/server/transport/proxy_header.hpp"
#include "agent/server/transport/trusted_peers.hpp"
#include "agent/telemetry/segment.hpp"
#include "agent/telemetry/view.hpp"
#include "http_client.hpp"
#include "proxy_bytes.hpp"
#include "server_test_main.hpp"
#include "tests/support/certificates.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;
using server::ProxyHeader;
using server::TrustedPeers;
using Status = ProxyHeader::Status;

namespace {

/// What is made of `bytes` that arrive `piece` at a time, and how many of them were taken.
std::pair<ProxyHeader, std::size_t> parse(std::string_view bytes, std::size_t piece) {
    ProxyHeader header;
    std::size_t taken = 0;
    while (header.status() == Status::need_more && taken < bytes.size()) {
        const std::span<char> space = header.space();
        const std::size_t size = std::min({piece, space.size(), bytes.size() - taken});
        std::memcpy(space.data(), bytes.data() + taken, size);
        header.commit(size);
        taken += size;
    }
    return {header, taken};
}

const std::string kInet = proxy_v2(0x21, 0x11, inet_addresses("192.0.2.7", 4242));
const std::string kGet = "GET /slow?ms=1 HTTP/1.1\r\nHost: h\r\n\r\n";  // answers who asks

}  // namespace

class ProxyProtocolTest : public QObject {
    Q_OBJECT

private slots:
    void reads_headers_data();
    void reads_headers();
    void takes_nothing_behind_the_header();
    void trusts_networks_data();
    void trusts_networks();
    void refuses_what_is_no_network();

    void the_announced_client_is_the_peer();
    void the_connection_table_shows_the_announced_client();
    void a_proxy_speaking_for_itself_is_the_peer();
    void others_are_served_as_what_they_are();
    void others_are_not_believed();
    void a_bad_header_closes_the_connection_data();
    void a_bad_header_closes_the_connection();
    void a_slow_header_is_cut_off();
    void tls_comes_behind_the_header();

private:
    std::uint64_t headers(WorkerProcesses& worker, const char* result) {
        return worker.counter("proxy_headers_total", {{"result", result}});
    }
};

void ProxyProtocolTest::reads_headers_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<int>("status");
    QTest::addColumn<QByteArray>("client");
    const auto row = [](const char* name, const std::string& bytes, Status status, const char* client = "") {
        QTest::newRow(name) << QByteArray::fromStdString(bytes) << static_cast<int>(status)
                            << QByteArray(client);
    };
    const std::string inet = inet_addresses("192.0.2.7", 4242);
    const std::string inet6 = inet6_addresses("2001:db8::7", 4242);
    row("IPv4", proxy_v2(0x21, 0x11, inet), Status::complete, "192.0.2.7:4242");
    row("IPv4, datagrams", proxy_v2(0x21, 0x12, inet), Status::complete, "192.0.2.7:4242");
    row("IPv6", proxy_v2(0x21, 0x21, inet6), Status::complete, "[2001:db8::7]:4242");
    row("unix", proxy_v2(0x21, 0x31, std::string(216, 'u')), Status::complete, "unix");
    row("with more to tell", proxy_v2(0x21, 0x11, inet + std::string(500, 't')), Status::complete,
        "192.0.2.7:4242");
    row("of no family", proxy_v2(0x21, 0x00, ""), Status::complete);
    row("of no family, with more to tell", proxy_v2(0x21, 0x00, "abcdef"), Status::complete);
    row("local", proxy_v2(0x20, 0x00, ""), Status::complete);
    row("local, with addresses", proxy_v2(0x20, 0x11, inet), Status::complete);
    row("local, of a family that does not exist", proxy_v2(0x20, 0xff, "x"), Status::complete);
    row("as long as may be", proxy_v2(0x21, 0x00, std::string(ProxyHeader::kMost - 16, 't')),
        Status::complete);
    row("too long", proxy_v2(0x21, 0x00, std::string(ProxyHeader::kMost - 15, 't')), Status::too_long);
    row("IPv4 without an address", proxy_v2(0x21, 0x11, ""), Status::malformed);
    row("IPv4 cut short", proxy_v2(0x21, 0x11, inet.substr(1)), Status::malformed);
    row("IPv6 cut short", proxy_v2(0x21, 0x21, inet6.substr(1)), Status::malformed);
    row("unix cut short", proxy_v2(0x21, 0x31, std::string(215, 'u')), Status::malformed);
    row("a family that does not exist", proxy_v2(0x21, 0x41, inet6), Status::malformed);
    row("a transport that does not exist", proxy_v2(0x21, 0x13, inet), Status::malformed);
    row("a command that does not exist", proxy_v2(0x22, 0x11, inet), Status::malformed);
    row("version 1", "PROXY TCP4 192.0.2.7 192.0.2.8 4242 80\r\n", Status::not_version_2);
    row("version 3", proxy_v2(0x31, 0x11, inet), Status::not_version_2);
    row("HTTP", "GET / HTTP/1.1\r\n", Status::not_version_2);
    row("the start of a signature", std::string("\r\n\r\n\0\r\nQ", 8), Status::need_more);
    row("nothing", "", Status::need_more);
}

void ProxyProtocolTest::reads_headers() {
    QFETCH(QByteArray, bytes);
    QFETCH(int, status);
    QFETCH(QByteArray, client);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{16}, std::size_t{4096}}) {
        const auto [header, taken] = parse(bytes.toStdString(), piece);
        QCOMPARE(static_cast<int>(header.status()), status);
        QCOMPARE(header.client() ? server::format_address(*header.client()) : "", client.toStdString());
    }
}

void ProxyProtocolTest::takes_nothing_behind_the_header() {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{4096}})
        QCOMPARE(parse(kInet + "GET /", piece).second, kInet.size());
}

void ProxyProtocolTest::trusts_networks_data() {
    QTest::addColumn<QByteArray>("network");
    QTest::addColumn<QByteArray>("peer");
    QTest::addColumn<bool>("trusted");
    const auto row = [](const char* network, const char* peer, bool trusted) {
        QTest::addRow("%s in %s", peer, network) << QByteArray(network) << QByteArray(peer) << trusted;
    };
    row("10.0.0.0/8", "10.255.0.1:1", true);
    row("10.0.0.0/8", "11.0.0.1:1", false);
    row("10.0.0.0/8", "[::ffff:10.1.2.3]:1", true);
    row("192.0.2.7", "192.0.2.7:1", true);
    row("192.0.2.7", "192.0.2.6:1", false);
    row("192.0.2.6/31", "192.0.2.7:1", true);
    row("192.0.2.6/31", "192.0.2.8:1", false);
    row("0.0.0.0/0", "203.0.113.1:1", true);
    row("0.0.0.0/0", "[2001:db8::1]:1", false);
    row("::/0", "203.0.113.1:1", true);
    row("fd00::/8", "[fdff::1]:1", true);
    row("fd00::/8", "[fe00::1]:1", false);
    row("fd00::/8", "10.0.0.1:1", false);
    row("::1", "[::1]:1", true);
    row("unix", "unix:/x", true);
    row("unix", "10.0.0.1:1", false);
    row("10.0.0.0/8", "unix:/x", false);
}

void ProxyProtocolTest::trusts_networks() {
    QFETCH(QByteArray, network);
    QFETCH(QByteArray, peer);
    QFETCH(bool, trusted);
    const auto address = server::parse_address(peer.toStdString());
    QCOMPARE(TrustedPeers({network.toStdString()}).contains(address.storage), trusted);
}

void ProxyProtocolTest::refuses_what_is_no_network() {
    for (const char* text : {"", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x",
                             "proxy.example", "10.0.0.1:80", "10.0.0"}) {
        try {
            TrustedPeers({text});
            QFAIL(text);
        } catch (const std::invalid_argument& error) {
            QVERIFY(QString(error.what()).contains(QString("'%1' is no network; try").arg(text)));
        }
    }
}

void ProxyProtocolTest::the_announced_client_is_the_peer() {
    WorkerProcesses worker(test_router(), {.proxy = ProxyOptions{.trusted = {"127.0.0.0/8"}}});
    worker.start();
    HttpClient client(worker.address());
    client.send(kInet + kGet);
    QCOMPARE(client.read().body, std::string("slow 192.0.2.7:4242\n"));
    client.send(kGet);
    QCOMPARE(client.read().body, std::string("slow 192.0.2.7:4242\n"));
    QCOMPARE(headers(worker, "client"), 1u);
    const ProgramOutput out =
        curl({"--haproxy-protocol", "http://" + QString::fromStdString(worker.address()) + "/hello"});
    QVERIFY(out.status != 0);  // curl speaks version 1
    QTRY_COMPARE_WITH_TIMEOUT(headers(worker, "not_version_2"), 1u, 20'000);
}

void ProxyProtocolTest::the_connection_table_shows_the_announced_client() {
    WorkerProcesses worker(test_router(), {.proxy = ProxyOptions{.trusted = {"127.0.0.1"}}});
    worker.start();
    HttpClient client(worker.address());
    client.send(kInet + kGet);
    QCOMPARE(client.read().status, 200);
    const telemetry::SegmentView view(worker.telemetry().segment().descriptor());
    const auto connections = view.connections(0).shown;
    QCOMPARE(connections.size(), 1u);
    QCOMPARE(connections[0].peer, std::string("192.0.2.7:4242"));
}

void ProxyProtocolTest::a_proxy_speaking_for_itself_is_the_peer() {
    WorkerProcesses worker(test_router(), {.proxy = ProxyOptions{.trusted = {"127.0.0.1"}}});
    worker.start();
    const Reply reply = ask(worker.address(), proxy_v2(0x20, 0x00, "") + kGet);
    QVERIFY(reply.body.starts_with("slow 127.0.0.1:"));
    QCOMPARE(headers(worker, "none"), 1u);
}

void ProxyProtocolTest::others_are_served_as_what_they_are() {
    WorkerProcesses worker(test_router(), {.proxy = ProxyOptions{.trusted = {"192.0.2.1"}}});
    worker.start();
    QVERIFY(ask(worker.address(), kGet).body.starts_with("slow 127.0.0.1:"));
}

void ProxyProtocolTest::others_are_not_believed() {
    WorkerProcesses worker(test_router(), {.proxy = ProxyOptions{.trusted = {"192.0.2.1"}}});
    worker.start();
    QCOMPARE(ask(worker.address(), kInet + kGet).status, 400);
    QCOMPARE(headers(worker, "client"), 0u);
}

void ProxyProtocolTest::a_bad_header_closes_the_connection_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QByteArray>("result");
    QTest::newRow("none") << QByteArray::fromStdString(kGet) << QByteArray("not_version_2");
    QTest::newRow("malformed") << QByteArray::fromStdString(proxy_v2(0x21, 0x11, ""))
                               << QByteArray("malformed");
    QTest::newRow("too long") << QByteArray::fromStdString(proxy_v2(0x21, 0x11, std::string(60'000, 't')))
                              << QByteArray("too_long");
}

void ProxyProtocolTest::a_bad_header_closes_the_connection() {
    QFETCH(QByteArray, bytes);
    QFETCH(QByteArray, result);
    WorkerProcesses worker(test_router(), {.proxy = ProxyOptions{.trusted = {"127.0.0.1"}}});
    worker.start();
    HttpClient client(worker.address());
    client.try_send(bytes.toStdString());
    QVERIFY(client.ends());
    QCOMPARE(headers(worker, result.constData()), 1u);
    QCOMPARE(worker.seat().requests.load(), 0u);
}

void ProxyProtocolTest::a_slow_header_is_cut_off() {
    WorkerProcesses worker(test_router(),
                           {.proxy = ProxyOptions{.trusted = {"127.0.0.1"}, .deadline = 300ms}});
    worker.start();
    HttpClient client(worker.address());
    client.send(kInet.substr(0, 20));
    QVERIFY(client.ends());
    QCOMPARE(headers(worker, "deadline"), 1u);
    {
        HttpClient leaving(worker.address());
        leaving.send(kInet.substr(0, 20));
    }
    QTRY_COMPARE_WITH_TIMEOUT(headers(worker, "disconnected"), 1u, 20'000);
}

void ProxyProtocolTest::tls_comes_behind_the_header() {
    const Certificates certificates;
    WorkerProcesses worker(
        test_router(), {.tls = server_tls(certificates), .proxy = ProxyOptions{.trusted = {"127.0.0.1"}}});
    worker.start();
    HttpClient client(worker.address());
    client.send(kInet + kGet);
    QCOMPARE(client.read().status, 400);  // "This port speaks TLS"
    HttpClient second(worker.address());
    second.send(kInet + std::string("\x16\x03\x01\x00\x08gggggggg", 13));
    char alert[64];
    QVERIFY(::recv(second.descriptor(), alert, sizeof alert, 0) > 0);
    QCOMPARE(alert[0], '\x15');
    QCOMPARE(headers(worker, "client"), 2u);
}

SERVER_TEST_MAIN(ProxyProtocolTest)
#include "test_proxy_protocol.moc"
