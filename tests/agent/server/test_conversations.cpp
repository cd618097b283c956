#include <QTest>
#include <set>

#include "agent/server/http_parser.hpp"
#include "corpus/conversations.hpp"
#include "corpus/requests.hpp"
#include "http_client.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using server::RequestParser;

namespace {

constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
/// A row of that length is sent split at each of its bytes.
constexpr std::size_t kSplitEverywhere = 90;

std::string seen(const Request& request) {
    std::string text = request.method + ' ' + request.path;
    if (!request.query.empty()) text += '?' + request.query;
    text += " [" + request.body + ']';
    if (request.path == "/host") text += ' ' + std::string(request.headers.find("host").value_or("none"));
    return text;
}

Router seeing_router() {
    Router router;
    for (const char* method : kMethods)
        router.handle(method, "/*rest", [](const Request& request) { return Response::text(seen(request)); });
    return router;
}

/// What the parser alone makes of `bytes`, when they come in two parts: the requests' texts, then a refusal's
/// status.
std::vector<std::string> parse_in_two(std::string_view bytes, std::size_t split) {
    Request request;
    RequestParser parser(kCorpusLimits, request);
    std::vector<std::string> outcome;
    std::string unread;
    for (const std::string_view part : {bytes.substr(0, split), bytes.substr(split)}) {
        unread += part;
        for (bool more = true; more;) {
            const auto [status, consumed] = parser.parse(unread);
            unread.erase(0, consumed);
            if (status == RequestParser::Status::refused) {
                outcome.push_back(std::to_string(parser.refusal().status));
                return outcome;
            }
            if (status == RequestParser::Status::complete) {
                outcome.push_back(seen(request));
                parser.reset();
            }
            more = status != RequestParser::Status::need_more;
        }
    }
    return outcome;
}

std::string text_of(const Reply& reply, bool of_head) {
    const std::string status = std::to_string(reply.status);
    if (of_head) return status + " HEAD";
    return reply.status == 200 ? status + ' ' + reply.body : status;
}

/// Sends `parts` one after another, reads as many replies as the row has.
std::string converse(const std::string& address, const Conversation& row,
                     const std::vector<std::string>& parts) {
    HttpClient client(address);
    for (const std::string& part : parts)
        if (!client.try_send(part)) break;
    for (const std::string& expected : row.replies) {
        const bool of_head = expected.ends_with(" HEAD");
        const std::string reply = text_of(client.read(of_head), of_head);
        if (reply != expected) return reply + " instead of " + expected;
    }
    if (!row.kept) return client.ends() ? "" : "kept instead of closed";
    if (row.bytes.ends_with("xyz")) return "";  // half a request is left behind
    client.send("GET /after HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string after = text_of(client.read(), false);
    return after == "200 GET /after []" ? "" : after + " afterwards";
}

}  // namespace

class ConversationsTest : public QObject {
    Q_OBJECT

private slots:
    void there_are_many_and_no_two_alike();
    void the_parser_sees_the_same_wherever_they_are_split_data();
    void the_parser_sees_the_same_wherever_they_are_split();
    void a_worker_answers_each_sent_whole();
    void a_worker_answers_each_sent_byte_by_byte();
    void a_worker_answers_short_ones_split_anywhere();
};

void ConversationsTest::there_are_many_and_no_two_alike() {
    std::set<std::string> bytes;
    for (const CorpusRow& row : request_corpus())
        QVERIFY2(bytes.insert(row.bytes).second, row.name);
    for (const Conversation& row : conversation_corpus())
        QVERIFY2(bytes.insert(row.bytes).second || row.replies[0].starts_with("200"), row.name);
    QVERIFY2(bytes.size() >= 300, qPrintable(QString::number(bytes.size())));
}

void ConversationsTest::the_parser_sees_the_same_wherever_they_are_split_data() {
    QTest::addColumn<int>("row");
    int index = 0;
    for (const Conversation& row : conversation_corpus())
        QTest::newRow(row.name) << index++;
}

void ConversationsTest::the_parser_sees_the_same_wherever_they_are_split() {
    QFETCH(int, row);
    const std::string& bytes = conversation_corpus()[static_cast<std::size_t>(row)].bytes;
    const std::vector<std::string> whole = parse_in_two(bytes, bytes.size());
    for (std::size_t split = 1; split < bytes.size(); ++split)
        QCOMPARE(parse_in_two(bytes, split), whole);
}

void ConversationsTest::a_worker_answers_each_sent_whole() {
    WorkerProcesses worker(seeing_router(), {.limits = kCorpusLimits});
    worker.start();
    for (const Conversation& row : conversation_corpus()) {
        const std::string wrong = converse(worker.address(), row, {row.bytes});
        QVERIFY2(wrong.empty(), qPrintable(QString("%1: %2").arg(row.name, wrong.c_str())));
    }
    QCOMPARE(worker.stop(0), 0);
}

void ConversationsTest::a_worker_answers_each_sent_byte_by_byte() {
    WorkerProcesses worker(seeing_router(), {.limits = kCorpusLimits});
    worker.start();
    for (const Conversation& row : conversation_corpus()) {
        std::vector<std::string> bytes;
        for (const char c : row.bytes)
            bytes.emplace_back(1, c);
        const std::string wrong = converse(worker.address(), row, bytes);
        QVERIFY2(wrong.empty(), qPrintable(QString("%1: %2").arg(row.name, wrong.c_str())));
    }
    QCOMPARE(worker.stop(0), 0);
}

void ConversationsTest::a_worker_answers_short_ones_split_anywhere() {
    WorkerProcesses worker(seeing_router(), {.limits = kCorpusLimits});
    worker.start();
    for (const Conversation& row : conversation_corpus()) {
        if (row.bytes.size() > kSplitEverywhere) continue;
        for (std::size_t split = 1; split < row.bytes.size(); ++split) {
            const std::string wrong =
                converse(worker.address(), row, {row.bytes.substr(0, split), row.bytes.substr(split)});
            QVERIFY2(wrong.empty(), qPrintable(QString("%1: %2").arg(row.name, wrong.c_str())));
        }
    }
    QCOMPARE(worker.stop(0), 0);
}

SERVER_TEST_MAIN(ConversationsTest)
#include "test_conversations.moc"
