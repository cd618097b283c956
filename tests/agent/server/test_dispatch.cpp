#include <sys/un.h>
#include <QTest>
#include <cstring>
#include <string>
#include <vector>

#include "agent/server/datagram/dispatch.hpp"
#include "signalbox/datagram.hpp"

using namespace signalbox;
using namespace signalbox::server;

class DispatchTest : public QObject {
    Q_OBJECT

private slots:
    void finds_the_call_id_data();
    void finds_the_call_id();
    void keys_spread_evenly();
    void one_slot_more_moves_few_keys();
    void a_header_comes_back_as_it_was();
    void a_header_that_makes_no_sense_is_refused();
};

void DispatchTest::finds_the_call_id_data() {
    QTest::addColumn<QByteArray>("message");
    QTest::addColumn<QByteArray>("id");
    const QByteArray start = "OPTIONS sip:x SIP/2.0\r\n";
    QTest::newRow("long form") << QByteArray(start + "Via: y\r\nCall-ID: a@b\r\n\r\n") << QByteArray("a@b");
    QTest::newRow("compact") << QByteArray(start + "i: a@b\r\n\r\n") << QByteArray("a@b");
    QTest::newRow("any case") << QByteArray(start + "cALL-iD:a@b\r\n\r\n") << QByteArray("a@b");
    QTest::newRow("compact, upper case") << QByteArray(start + "I:a@b\r\n\r\n") << QByteArray("a@b");
    QTest::newRow("white space") << QByteArray(start + "Call-ID \t:  a@b \t\r\n\r\n") << QByteArray("a@b");
    QTest::newRow("on the next line") << QByteArray(start + "Call-ID:\r\n  a@b\r\n\r\n") << QByteArray("a@b");
    QTest::newRow("bare line feeds") << QByteArray("X\nCall-ID: a@b\n\n") << QByteArray("a@b");
    QTest::newRow("no end") << QByteArray(start + "i: a@b") << QByteArray("a@b");
    QTest::newRow("in the start line") << QByteArray("i: a@b\r\nVia: x\r\n\r\n") << QByteArray();
    QTest::newRow("in the body") << QByteArray(start + "Via: x\r\n\r\ni: a@b\r\n") << QByteArray();
    QTest::newRow("another field") << QByteArray(start + "Call-ID-X: a@b\r\nvi: x\r\n\r\n") << QByteArray();
    QTest::newRow("empty") << QByteArray() << QByteArray();
}

void DispatchTest::finds_the_call_id() {
    QFETCH(QByteArray, message);
    QFETCH(QByteArray, id);
    const std::string_view found =
        sip_call_id(std::as_bytes(std::span(message.constData(), static_cast<std::size_t>(message.size()))));
    QCOMPARE(QByteArray(found.data(), static_cast<int>(found.size())), id);
}

void DispatchTest::keys_spread_evenly() {
    std::vector<int> counts(8);
    for (int key = 0; key < 80'000; ++key)
        ++counts[slot_of(std::to_string(key), 8)];
    for (const int count : counts)
        QVERIFY(count > 9'500 && count < 10'500);
}

void DispatchTest::one_slot_more_moves_few_keys() {
    for (unsigned count = 1; count < 20; ++count) {
        int moved = 0;
        for (int key = 0; key < 10'000; ++key) {
            const unsigned before = slot_of(std::to_string(key), count);
            const unsigned after = slot_of(std::to_string(key), count + 1);
            QVERIFY(before < count && (after == before || after == count));
            moved += after != before;
        }
        QVERIFY(moved < 12'000 / static_cast<int>(count + 1));
    }
}

void DispatchTest::a_header_comes_back_as_it_was() {
    DatagramEnds ends;
    ends.peer.ss_family = AF_INET6;
    ends.peer_size = sizeof(sockaddr_in6);
    reinterpret_cast<sockaddr_in6&>(ends.peer).sin6_port = 4242;
    ends.local = {.family = AF_INET6, .address = in6addr_loopback, .interface = 3};
    const ForwardingHeader header = header_for(ends);
    const auto back = read_header(std::as_bytes(std::span(&header, 1)), AF_INET6);
    QVERIFY(back);
    QCOMPARE(back->peer_size, ends.peer_size);
    QVERIFY(std::memcmp(&back->peer, &ends.peer, sizeof ends.peer) == 0);
    QCOMPARE(back->local.family, AF_INET6);
    QCOMPARE(back->local.interface, 3u);
}

void DispatchTest::a_header_that_makes_no_sense_is_refused() {
    const auto refused = [](ForwardingHeader header, int family,
                            std::size_t bytes = sizeof(ForwardingHeader)) {
        return !read_header(std::as_bytes(std::span(&header, 1)).first(bytes), family);
    };
    ForwardingHeader right;
    right.peer.ss_family = AF_INET;
    right.peer_size = sizeof(sockaddr_in);
    QVERIFY(!refused(right, AF_INET));
    QVERIFY(refused(right, AF_INET, sizeof right - 1));
    QVERIFY(refused(right, AF_INET6));
    ForwardingHeader wrong = right;
    wrong.magic ^= 1;
    QVERIFY(refused(wrong, AF_INET));
    wrong = right;
    wrong.peer_size = sizeof(sockaddr_storage) + 1;
    QVERIFY(refused(wrong, AF_INET));
    wrong = right;
    wrong.local_family = AF_INET6;
    QVERIFY(refused(wrong, AF_INET));
    wrong = right;
    wrong.peer_size = 0;
    QVERIFY(refused(wrong, AF_INET));
    QVERIFY(!refused(wrong, AF_UNIX));  // a client without a name
}

QTEST_APPLESS_MAIN(DispatchTest)
#include "test_dispatch.moc"
