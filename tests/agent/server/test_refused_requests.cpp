#include <QTest>

#include "agent/server/http_parser.hpp"
#include "corpus/requests.hpp"
#include "http_client.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using server::RequestParser;

namespace {

/// The status that the parser alone gives, when the bytes come in pieces; 0 if it waits for more.
int parse_in_pieces(std::string_view bytes, std::size_t piece) {
    Request request;
    RequestParser parser(kCorpusLimits, request);
    std::string unread;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        unread += bytes.substr(at, piece);
        for (;;) {
            const auto [status, consumed] = parser.parse(unread);
            unread.erase(0, consumed);
            if (status == RequestParser::Status::complete) return 200;
            if (status == RequestParser::Status::refused) return parser.refusal().status;
            if (status == RequestParser::Status::need_more) break;
        }
    }
    return 0;
}

}  // namespace

class RefusedRequestsTest : public QObject {
    Q_OBJECT

private slots:
    void the_parser_refuses_them_in_pieces_of_any_size_data();
    void the_parser_refuses_them_in_pieces_of_any_size();
    void the_worker_answers_and_closes();
    void nothing_after_a_refused_request_is_answered();
};

void RefusedRequestsTest::the_parser_refuses_them_in_pieces_of_any_size_data() {
    QTest::addColumn<int>("row");
    int index = 0;
    for (const CorpusRow& row : request_corpus())
        QTest::newRow(row.name) << index++;
    QVERIFY(index >= 120);
}

void RefusedRequestsTest::the_parser_refuses_them_in_pieces_of_any_size() {
    QFETCH(int, row);
    const CorpusRow& expected = request_corpus()[static_cast<std::size_t>(row)];
    for (const std::size_t piece : {1, 2, 3, 7, 64, 1 << 20})
        QCOMPARE(parse_in_pieces(expected.bytes, piece), expected.status);
}

void RefusedRequestsTest::the_worker_answers_and_closes() {
    WorkerProcesses worker(test_router(), {.limits = kCorpusLimits});
    worker.start();
    for (const CorpusRow& row : request_corpus()) {
        HttpClient client(worker.address());
        client.try_send(row.bytes);
        const Reply reply = client.read();
        QVERIFY2(reply.status == row.status,
                 qPrintable(QString("%1: %2 instead of %3").arg(row.name).arg(reply.status).arg(row.status)));
        if (row.status == 200) continue;
        QCOMPARE(reply.header("connection"), std::string("close"));
        QVERIFY2(client.ends(), row.name);
    }
    QCOMPARE(worker.stop(0), 0);
}

void RefusedRequestsTest::nothing_after_a_refused_request_is_answered() {
    WorkerProcesses worker(test_router(), {.limits = kCorpusLimits});
    worker.start();
    HttpClient client(worker.address());
    client.send(
        "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"
        "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    QCOMPARE(client.read().status, 200);
    QCOMPARE(client.read().status, 400);
    QVERIFY(client.ends());
}

SERVER_TEST_MAIN(RefusedRequestsTest)
#include "test_refused_requests.moc"
