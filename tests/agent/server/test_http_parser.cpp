#include <QTest>

#include "agent/server/http_parser.hpp"

using namespace signalbox;
using server::RequestParser;
using Status = RequestParser::Status;

namespace {

struct Outcome {
    Status status = Status::need_more;
    bool said_header = false;
    std::string rest;  ///< what follows the request
};

/// Feeds `bytes` in pieces of `piece` bytes, as a connection would.
Outcome feed(RequestParser& parser, std::string_view bytes, std::size_t piece) {
    Outcome outcome;
    std::string unread;
    while (!bytes.empty()) {
        unread += bytes.substr(0, piece);
        bytes.remove_prefix(std::min(piece, bytes.size()));
        do {
            const auto result = parser.parse(unread);
            unread.erase(0, result.consumed);
            outcome.status = result.status;
            outcome.said_header = outcome.said_header || result.status == Status::header;
        } while (outcome.status == Status::header);
        if (outcome.status != Status::need_more) break;
    }
    outcome.rest = unread + std::string(bytes);
    return outcome;
}

}  // namespace

class HttpParserTest : public QObject {
    Q_OBJECT

private slots:
    void reads_requests_in_pieces_of_any_size_data();
    void reads_requests_in_pieces_of_any_size();
    void fills_in_the_request();
    void knows_whether_the_connection_stays_data();
    void knows_whether_the_connection_stays();
    void says_header_once_before_a_body();
    void stops_where_the_next_request_begins();
    void forgets_the_request_before();
    void waits_for_more_data();
    void waits_for_more();
};

void HttpParserTest::reads_requests_in_pieces_of_any_size_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QByteArray>("body");
    QTest::newRow("GET") << QByteArray("GET /a HTTP/1.1\r\nHost: h\r\n\r\n") << QByteArray();
    QTest::newRow("empty lines before")
        << QByteArray("\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n") << QByteArray();
    QTest::newRow("length") << QByteArray("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
                            << QByteArray("hello");
    QTest::newRow("chunks") << QByteArray(
                                   "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "1\r\nh\r\n4\r\nello\r\n0\r\n\r\n")
                            << QByteArray("hello");
    QTest::newRow("extensions") << QByteArray(
                                       "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       "5;a=b;c=\"d e\";f\r\nhello\r\n0;last\r\n\r\n")
                                << QByteArray("hello");
    QTest::newRow("trailers") << QByteArray(
                                     "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                     "5\r\nhello\r\n0\r\nX-Sum: 1\r\nHost: other\r\n\r\n")
                              << QByteArray("hello");
    QTest::newRow("line ends in a chunk")
        << QByteArray(
               "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
               "4\r\n\r\n\r\n\r\n0\r\n\r\n")
        << QByteArray("\r\n\r\n");
    QTest::newRow("no chunk")
        << QByteArray("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        << QByteArray();
    QTest::newRow("upper case size, zeros before")
        << QByteArray(
               "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
               "00A\r\n0123456789\r\n000\r\n\r\n")
        << QByteArray("0123456789");
}

void HttpParserTest::reads_requests_in_pieces_of_any_size() {
    QFETCH(QByteArray, bytes);
    QFETCH(QByteArray, body);
    const HttpLimits limits;
    for (std::size_t piece = 1; piece <= static_cast<std::size_t>(bytes.size()); ++piece) {
        Request request;
        RequestParser parser(limits, request);
        const Outcome outcome = feed(parser, bytes.toStdString(), piece);
        QVERIFY2(outcome.status == Status::complete, parser.refusal().reason);
        QCOMPARE(outcome.rest, std::string());
        QCOMPARE(request.path, std::string("/a"));
        QCOMPARE(QByteArray::fromStdString(request.body), body);
        QCOMPARE(request.headers.find("host"), std::optional<std::string_view>("h"));
        QVERIFY(!request.headers.has("x-sum"));
    }
}

void HttpParserTest::fills_in_the_request() {
    const HttpLimits limits;
    Request request;
    RequestParser parser(limits, request);
    const auto result = parser.parse(
        "PATCH http://h/a%20b/./c?d=%41 HTTP/1.1\r\nHOST: h:80\r\nX-A:  b c\t\r\nX-Empty:\r\nx-a: d\r\n\r\n");
    QCOMPARE(result.status, Status::complete);
    QCOMPARE(request.method, std::string("PATCH"));
    QCOMPARE(request.target, std::string("http://h/a%20b/./c?d=%41"));
    QCOMPARE(request.path, std::string("/a b/c"));
    QCOMPARE(request.query, std::string("d=%41"));
    QCOMPARE(request.version, 11);
    QCOMPARE(request.headers.size(), 4u);
    QCOMPARE(request.headers.find("x-a"), std::optional<std::string_view>("b c"));
    QCOMPARE(request.headers.find("x-empty"), std::optional<std::string_view>(""));
}

void HttpParserTest::knows_whether_the_connection_stays_data() {
    QTest::addColumn<QByteArray>("line_and_fields");
    QTest::addColumn<bool>("stays");
    QTest::newRow("1.1") << QByteArray("HTTP/1.1\r\nHost: h\r\n") << true;
    QTest::newRow("1.1 close") << QByteArray("HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n") << false;
    QTest::newRow("1.1 close among others")
        << QByteArray("HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\n") << false;
    QTest::newRow("1.1 two fields") << QByteArray(
                                           "HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close\r\n")
                                    << false;
    QTest::newRow("1.0") << QByteArray("HTTP/1.0\r\n") << false;
    QTest::newRow("1.0 keep-alive") << QByteArray("HTTP/1.0\r\nConnection: Keep-Alive\r\n") << true;
}

void HttpParserTest::knows_whether_the_connection_stays() {
    QFETCH(QByteArray, line_and_fields);
    QFETCH(bool, stays);
    const HttpLimits limits;
    Request request;
    RequestParser parser(limits, request);
    QCOMPARE(parser.parse("GET / " + line_and_fields.toStdString() + "\r\n").status, Status::complete);
    QCOMPARE(parser.keep_alive(), stays);
}

void HttpParserTest::says_header_once_before_a_body() {
    const HttpLimits limits;
    Request request;
    RequestParser parser(limits, request);
    const std::string header =
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n";
    const auto result = parser.parse(header + "ab");
    QCOMPARE(result.status, Status::header);
    QCOMPARE(result.consumed, header.size());
    QVERIFY(parser.expects_continue());
    QVERIFY(parser.in_body());
    QCOMPARE(parser.parse("").status, Status::need_more);
    QCOMPARE(parser.parse("a").status, Status::need_more);
    QCOMPARE(parser.parse("b").status, Status::complete);
}

void HttpParserTest::stops_where_the_next_request_begins() {
    const HttpLimits limits;
    const std::string first =
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    const std::string second = "GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
    for (std::size_t piece = 1; piece <= first.size() + second.size(); ++piece) {
        Request request;
        RequestParser parser(limits, request);
        const Outcome outcome = feed(parser, first + second, piece);
        QCOMPARE(outcome.status, Status::complete);
        QCOMPARE(outcome.rest, second);
        parser.reset();
        QCOMPARE(feed(parser, outcome.rest, piece).status, Status::complete);
        QCOMPARE(request.path, std::string("/b"));
        QCOMPARE(request.body, std::string());
    }
}

void HttpParserTest::forgets_the_request_before() {
    const HttpLimits limits;
    Request request;
    RequestParser parser(limits, request);
    QCOMPARE(feed(parser,
                  "POST /a?q HTTP/1.1\r\nHost: h\r\nX-Secret: s\r\nContent-Length: 1\r\nExpect: "
                  "100-continue\r\n\r\nx",
                  999)
                 .status,
             Status::complete);
    parser.reset();
    QVERIFY(!parser.started());
    QCOMPARE(feed(parser, "GET /b HTTP/1.0\r\n\r\n", 999).status, Status::complete);
    QCOMPARE(request.headers.size(), 0u);
    QCOMPARE(request.query, std::string());
    QCOMPARE(request.body, std::string());
    QVERIFY(!parser.expects_continue());
    QVERIFY(!parser.keep_alive());
}

void HttpParserTest::waits_for_more_data() {
    QTest::addColumn<QByteArray>("bytes");
    for (const char* bytes : {"\r", "\r\n", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n",
                              "GET / HTTP/1.1\r\nHost: h\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r"})
        QTest::newRow(bytes) << QByteArray(bytes);
}

void HttpParserTest::waits_for_more() {
    QFETCH(QByteArray, bytes);
    const HttpLimits limits;
    Request request;
    RequestParser parser(limits, request);
    QCOMPARE(feed(parser, bytes.toStdString(), 1).status, Status::need_more);
}

QTEST_GUILESS_MAIN(HttpParserTest)
#include "test_http_parser.moc"
