#include <QTest>

#include "agent/server/uri.hpp"
#include "signalbox/http.hpp"

using namespace signalbox;

class UriTest : public QObject {
    Q_OBJECT

private slots:
    void splits_and_decodes_targets_data();
    void splits_and_decodes_targets();
    void refuses_targets_data();
    void refuses_targets();
    void finds_values_in_a_query();
    void headers_compare_without_case_and_reuse_what_was_cleared();
};

void UriTest::splits_and_decodes_targets_data() {
    QTest::addColumn<QByteArray>("target");
    QTest::addColumn<QByteArray>("path");
    QTest::addColumn<QByteArray>("query");
    const auto row = [](const char* target, const char* path, const char* query = "") {
        QTest::newRow(target) << QByteArray(target) << QByteArray(path) << QByteArray(query);
    };
    row("/", "/");
    row("/a?b=c", "/a", "b=c");
    row("/a?b=c?d", "/a", "b=c?d");
    row("/a?", "/a");
    row("/%61%2Fb", "/a/b");
    row("/caf%C3%A9", "/caf\xc3\xa9");
    row("/a%20b", "/a b");
    row("/a?x=%20", "/a", "x=%20");
    row("/a/./b", "/a/b");
    row("/a/../b", "/b");
    row("/a/b/..", "/a/");
    row("/a/b/.", "/a/b/");
    row("/../../etc/passwd", "/etc/passwd");
    row("/a/%2e%2e/%2E/b", "/b");
    row("/..%2f..%2fetc", "/etc");
    row("/a/..b/...", "/a/..b/...");
    row("//a//b", "//a//b");
    row("http://host/a?b", "/a", "b");
    row("HTTPS://host:443", "/");
    row("http://host?q", "/", "q");
    row("/%252e", "/%2e");
    row("/..", "/");
    row("/a?/../b", "/a", "/../b");
}

void UriTest::splits_and_decodes_targets() {
    QFETCH(QByteArray, target);
    QFETCH(QByteArray, path);
    QFETCH(QByteArray, query);
    std::string found_path = "of the last request";
    std::string found_query = "likewise";
    QVERIFY(server::parse_target("GET", target.toStdString(), found_path, found_query));
    QCOMPARE(found_path, path.toStdString());
    QCOMPARE(found_query, query.toStdString());
}

void UriTest::refuses_targets_data() {
    QTest::addColumn<QByteArray>("target");
    for (const char* target :
         {"", "a", "*", "/a#b", "/%", "/%4", "/%4x", "/%00", "/\x01", "/\xc3\xa9", "/a b", "host:80",
          "ftp://host/", "http:///a", "http://", "http://user@host/", "\\a"})
        QTest::newRow(target) << QByteArray(target);
}

void UriTest::refuses_targets() {
    QFETCH(QByteArray, target);
    std::string path;
    std::string query;
    QVERIFY(!server::parse_target("GET", target.toStdString(), path, query));
}

void UriTest::finds_values_in_a_query() {
    Request request;
    request.query = "full=1&name=a+b%21&empty=&flag&full=2&odd=%zz&%6bey=v";
    QCOMPARE(request.query_value("full"), std::optional<std::string>("1"));
    QCOMPARE(request.query_value("name"), std::optional<std::string>("a b!"));
    QCOMPARE(request.query_value("empty"), std::optional<std::string>(""));
    QCOMPARE(request.query_value("flag"), std::optional<std::string>(""));
    QCOMPARE(request.query_value("odd"), std::optional<std::string>("%zz"));
    QCOMPARE(request.query_value("key"), std::optional<std::string>("v"));
    QCOMPARE(request.query_value("none"), std::nullopt);
}

void UriTest::headers_compare_without_case_and_reuse_what_was_cleared() {
    Headers headers;
    headers.add("Accept", "a");
    headers.add("X-Box", "1");
    headers.add("accept", "b");
    QCOMPARE(headers.find("ACCEPT"), std::optional<std::string_view>("a"));
    headers.set("accept", "c");
    QCOMPARE(headers.size(), 2u);
    QCOMPARE(headers.find("Accept"), std::optional<std::string_view>("c"));
    QCOMPARE(headers.find("x-box"), std::optional<std::string_view>("1"));

    Headers moved = std::move(headers);
    QCOMPARE(moved.size(), 2u);
    headers = moved;
    moved.clear();
    QVERIFY(moved.begin() == moved.end());
    QVERIFY(!moved.has("accept"));
    moved.add("B", "2");
    QCOMPARE(moved.size(), 1u);
    QCOMPARE(moved.find("b"), std::optional<std::string_view>("2"));
    QCOMPARE(headers.size(), 2u);
}

QTEST_GUILESS_MAIN(UriTest)
#include "test_uri.moc"
