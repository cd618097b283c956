#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <QTemporaryDir>
#include <QTest>

#include "agent/server/address.hpp"
#include "agent/server/listener.hpp"
#include "http_client.hpp"

using namespace signalbox;
using server::bind_listener;

class ListenerTest : public QObject {
    Q_OBJECT

private slots:
    void binds_and_tells_the_address_data();
    void binds_and_tells_the_address();
    void accepted_sockets_do_not_delay();
    void refuses_what_is_no_address_data();
    void refuses_what_is_no_address();
    void names_the_address_that_cannot_be_bound();
    void takes_over_an_abandoned_unix_socket_but_not_one_in_use();
};

void ListenerTest::binds_and_tells_the_address_data() {
    QTest::addColumn<QString>("asked");
    QTest::addColumn<QString>("begins");
    QTest::newRow("IPv4") << "127.0.0.1:0"
                          << "127.0.0.1:";
    QTest::newRow("any") << "*:0"
                         << "*:";
    QTest::newRow("any IPv4") << "0.0.0.0:0"
                              << "0.0.0.0:";
}

void ListenerTest::binds_and_tells_the_address() {
    QFETCH(QString, asked);
    QFETCH(QString, begins);
    const auto listener = bind_listener(asked.toStdString(), {}, 0);
    const QString address = QString::fromStdString(listener->address);
    QVERIFY(address.startsWith(begins));
    QVERIFY(address.mid(begins.size()).toInt() > 0);
    QVERIFY(::fcntl(listener->socket, F_GETFD) & FD_CLOEXEC);
    HttpClient("127.0.0.1:" + address.mid(begins.size()).toStdString());
}

void ListenerTest::accepted_sockets_do_not_delay() {
    const auto listener = bind_listener("127.0.0.1:0", {}, 0);
    HttpClient client(listener->address);
    const int accepted = ::accept(listener->socket, nullptr, nullptr);
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    QCOMPARE(::getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
    QVERIFY(no_delay);
    ::close(accepted);
}

void ListenerTest::refuses_what_is_no_address_data() {
    QTest::addColumn<QString>("address");
    for (const char* address :
         {"", "8080", "localhost", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536",
          "127.0.0.1:-1", "::1:80", "[::1]", "[x]:80", "300.0.0.1:80", "unix:"})
        QTest::newRow(address) << address;
    QTest::newRow("unix path too long") << "unix:/" + QString(200, 'x');
}

void ListenerTest::refuses_what_is_no_address() {
    QFETCH(QString, address);
    QVERIFY_EXCEPTION_THROWN(bind_listener(address.toStdString(), {}, 0), std::invalid_argument);
}

void ListenerTest::names_the_address_that_cannot_be_bound() {
    const auto listener = bind_listener("127.0.0.1:0", {}, 0);
    try {
        bind_listener(listener->address, {}, 1);
        QFAIL("bound twice");
    } catch (const std::system_error& error) {
        QVERIFY(std::string(error.what()).starts_with(listener->address + ": "));
        QVERIFY(error.code() == std::errc::address_in_use);
    }
}

void ListenerTest::takes_over_an_abandoned_unix_socket_but_not_one_in_use() {
    const QTemporaryDir directory;
    const std::string path = "unix:" + directory.filePath("a.sock").toStdString();
    bind_listener(path, {}, 0);  // closed at once; the file stays
    const auto listener = bind_listener(path, {}, 0);
    QVERIFY_EXCEPTION_THROWN(bind_listener(path, {}, 0), std::system_error);
    HttpClient client(path);
}

QTEST_GUILESS_MAIN(ListenerTest)
#include "test_listener.moc"
