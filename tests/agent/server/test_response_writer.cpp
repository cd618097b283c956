#include <QTest>

#include "agent/server/response_writer.hpp"

using namespace signalbox;
using namespace signalbox::server;

namespace {

std::string header_of(const Response& response, const Framing& framing) {
    std::string out;
    append_header(out, response, framing, "D");
    return out;
}

}  // namespace

class ResponseWriterTest : public QObject {
    Q_OBJECT

private slots:
    void writes_a_response();
    void says_how_the_connection_goes_on();
    void leaves_out_what_the_server_sets_itself();
    void says_no_length_where_there_is_no_body();
    void refuses_fields_that_break_the_framing_data();
    void refuses_fields_that_break_the_framing();
    void formats_dates();
};

void ResponseWriterTest::writes_a_response() {
    QCOMPARE(header_of(Response::text("Hello!\n"), {}),
             std::string("HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 7\r\n"
                         "Content-Type: text/plain; charset=utf-8\r\n\r\n"));
}

void ResponseWriterTest::says_how_the_connection_goes_on() {
    const Response response;
    QVERIFY(header_of(response, {.keep_alive = false}).find("\r\nConnection: close\r\n") !=
            std::string::npos);
    QVERIFY(header_of(response, {.version = 10}).find("\r\nConnection: keep-alive\r\n") != std::string::npos);
    QVERIFY(header_of(response, {}).find("Connection") == std::string::npos);
}

void ResponseWriterTest::leaves_out_what_the_server_sets_itself() {
    Response response;
    response.body = "abc";
    response.headers.add("content-length", "99");
    response.headers.add("DATE", "yesterday");
    response.headers.add("Transfer-Encoding", "chunked");
    response.headers.add("connection", "upgrade");
    response.headers.add("X-Stays", "1");
    QCOMPARE(header_of(response, {}),
             std::string("HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 3\r\nX-Stays: 1\r\n\r\n"));
}

void ResponseWriterTest::says_no_length_where_there_is_no_body() {
    Response response;
    response.body = "ignored";
    for (const int status : {204, 304}) {
        response.status = status;
        QVERIFY(header_of(response, {}).find("Content-Length") == std::string::npos);
        QVERIFY(!has_body(response, {}));
    }
    response.status = 200;
    QVERIFY(header_of(response, {.head = true}).find("Content-Length: 7\r\n") != std::string::npos);
    QVERIFY(!has_body(response, {.head = true}));
}

void ResponseWriterTest::refuses_fields_that_break_the_framing_data() {
    QTest::addColumn<QByteArray>("name");
    QTest::addColumn<QByteArray>("value");
    QTest::newRow("line end in a value") << QByteArray("A") << QByteArray("b\r\nC: d");
    QTest::newRow("bare LF") << QByteArray("A") << QByteArray("b\nc");
    QTest::newRow("zero") << QByteArray("A") << QByteArray("b\0c", 3);
    QTest::newRow("space in a name") << QByteArray("A B") << QByteArray("c");
    QTest::newRow("colon in a name") << QByteArray("A:") << QByteArray("c");
    QTest::newRow("no name") << QByteArray() << QByteArray("c");
}

void ResponseWriterTest::refuses_fields_that_break_the_framing() {
    QFETCH(QByteArray, name);
    QFETCH(QByteArray, value);
    Response response;
    response.headers.add(name.toStdString(), value.toStdString());
    std::string out = "before";
    QVERIFY_EXCEPTION_THROWN(append_header(out, response, {}, "D"), std::invalid_argument);
    QCOMPARE(out, std::string("before"));
}

void ResponseWriterTest::formats_dates() {
    DateClock clock;
    QCOMPARE(clock.at(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    QCOMPARE(clock.at(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    QCOMPARE(clock.at(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
    QCOMPARE(clock.now().size(), 29u);
}

QTEST_GUILESS_MAIN(ResponseWriterTest)
#include "test_response_writer.moc"
