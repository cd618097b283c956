#include <QTest>

#include "agent/server/accept_encoding.hpp"
#include "agent/server/byte_range.hpp"
#include "agent/server/content_type.hpp"
#include "agent/server/http_date.hpp"
#include "agent/server/preconditions.hpp"
#include "agent/server/response_writer.hpp"

using namespace signalbox;
using namespace signalbox::server;

namespace {

constexpr std::time_t k1994 = 784111777;  // the date that RFC 9110 writes in three ways

Headers fields(std::initializer_list<std::pair<const char*, const char*>> list) {
    Headers headers;
    for (const auto& [name, value] : list)
        headers.add(name, value);
    return headers;
}

}  // namespace

class HttpFieldsTest : public QObject {
    Q_OBJECT

private slots:
    void reads_dates_data();
    void reads_dates();
    void reads_every_date_that_it_writes();
    void chooses_a_coding_data();
    void chooses_a_coding();
    void several_fields_are_one_list();
    void chooses_only_what_is_offered();
    void knows_listed_types();
    void knows_types_by_name();
    void reads_ranges_of_empty_and_huge_files();
    void checks_preconditions_in_their_order();
};

void HttpFieldsTest::reads_dates_data() {
    QTest::addColumn<QString>("text");
    QTest::addColumn<qint64>("time");
    for (const char* text :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"})
        QTest::newRow(text) << text << qint64(k1994);
    QTest::newRow("leap day") << "Thu, 29 Feb 2024 00:00:00 GMT" << qint64(1709164800);
    QTest::newRow("two digits of asctime") << "Wed Nov 16 08:49:37 1994" << qint64(k1994 + 864000);
    for (const char* text :
         {"", "0", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
          "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
          "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
          "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 ovD 1994 08:49:37 GMT", "Xyz, 06 Nov 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 Nov 1994 08:49:-7 GMT", "784111777"})
        QTest::newRow(qPrintable(QString("not '%1'").arg(text))) << text << qint64(-1);
}

void HttpFieldsTest::reads_dates() {
    QFETCH(QString, text);
    QFETCH(qint64, time);
    QCOMPARE(qint64(parse_http_date(text.toStdString()).value_or(-1)), time);
}

void HttpFieldsTest::reads_every_date_that_it_writes() {
    DateClock clock;
    for (std::time_t time = 0; time < 4'000'000'000; time += 12'345'677)
        QCOMPARE(parse_http_date(clock.at(time)).value_or(-1), time);
}

void HttpFieldsTest::chooses_a_coding_data() {
    QTest::addColumn<QString>("accepted");
    QTest::addColumn<QString>("chosen");
    const auto row = [](const char* accepted, const char* chosen) {
        QTest::newRow(accepted) << accepted << chosen;
    };
    row("", "identity");
    row("gzip", "gzip");
    row("GZIP", "gzip");
    row("x-gzip", "gzip");
    row("zstd", "zstd");
    row("gzip, deflate, br, zstd", "zstd");
    row("gzip, deflate, br", "gzip");
    row("deflate, br", "identity");
    row("gzip;q=1.0, zstd;q=0.5", "gzip");
    row("gzip;q=0.5, zstd;q=0.501", "zstd");
    row("gzip ; q=0.5 ,zstd;q=0.4", "gzip");
    row("gzip;Q=0", "identity");
    row("gzip;q=0.000, zstd;q=0", "identity");
    row("*", "zstd");
    row("*;q=0", "identity");
    row("gzip, *;q=0", "gzip");
    row("zstd;q=0, *", "gzip");
    row("identity", "identity");
    row("identity;q=1, gzip;q=0.5", "identity");
    row("identity;q=0.5, gzip;q=1", "gzip");
    row("identity;q=0, gzip;q=0.1", "gzip");
    row("identity;q=0, *;q=0", "identity");
    row("gzip;q=1.001", "identity");
    row("gzip;q=2", "identity");
    row("gzip;q=-1", "identity");
    row("gzip;q=0.1234", "identity");
    row("gzip;q=", "identity");
    row("gzip;q", "identity");
    row("gzip;level=9", "identity");
    row("gzip;q=1;x=y", "identity");
    row(",, gzip ,,", "gzip");
    row("gzipped", "identity");
    row(";q=1", "identity");
}

void HttpFieldsTest::chooses_a_coding() {
    QFETCH(QString, accepted);
    QFETCH(QString, chosen);
    const Coding coding = choose_coding(fields({{"accept-encoding", qPrintable(accepted)}}), {});
    QCOMPARE(QString::fromStdString(std::string(name_of(coding))), chosen);
}

void HttpFieldsTest::several_fields_are_one_list() {
    const Headers both =
        fields({{"Accept-Encoding", "br"}, {"X", "zstd"}, {"Accept-Encoding", "gzip;q=0.1"}});
    QCOMPARE(choose_coding(both, {}), Coding::gzip);
    QCOMPARE(choose_coding(fields({}), {}), Coding::identity);
}

void HttpFieldsTest::chooses_only_what_is_offered() {
    const Headers all = fields({{"Accept-Encoding", "gzip;q=0.5, zstd"}});
    QCOMPARE(choose_coding(all, {.zstd = false}), Coding::gzip);
    QCOMPARE(choose_coding(all, {.gzip = false, .zstd = false}), Coding::identity);
}

void HttpFieldsTest::knows_listed_types() {
    const std::vector<std::string> types = CompressionOptions().types;
    for (const char* type : {"text/html", "text/css; charset=utf-8", "TEXT/plain", "application/json ;x=y"})
        QVERIFY2(is_listed(type, types), type);
    for (const char* type : {"", "text", "image/png", "application/jsonx", "xtext/html", "application/"})
        QVERIFY2(!is_listed(type, types), type);
}

void HttpFieldsTest::knows_types_by_name() {
    QCOMPARE(content_type_of("a/b.CSS"), "text/css; charset=utf-8");
    QCOMPARE(content_type_of("a.b/c"), "application/octet-stream");
    QCOMPARE(content_type_of("x.tar.gz"), "application/gzip");
    QCOMPARE(content_type_of(""), "application/octet-stream");
}

void HttpFieldsTest::reads_ranges_of_empty_and_huge_files() {
    QCOMPARE(parse_range("bytes=0-", 0).kind, ByteRange::Kind::unsatisfiable);
    QCOMPARE(parse_range("bytes=-5", 0).kind, ByteRange::Kind::whole);
    const ByteRange last = parse_range("bytes=18446744073709551614-", UINT64_MAX);
    QCOMPARE(last.first, UINT64_MAX - 1);
    QCOMPARE(last.length, 1u);
    QCOMPARE(parse_range("bytes=0-18446744073709551615", UINT64_MAX).length, UINT64_MAX);
    QCOMPARE(parse_range("BYTES=1-1", 9).length, 1u);
}

void HttpFieldsTest::checks_preconditions_in_their_order() {
    const Validators current{.tag = "\"a,b\"", .modified = k1994};
    const char* const same = "Sun, 06 Nov 1994 08:49:37 GMT";
    const char* const before = "Sun, 06 Nov 1994 08:49:36 GMT";
    const auto verdict = [&](std::initializer_list<std::pair<const char*, const char*>> list) {
        return check_preconditions(fields(list), current);
    };
    QCOMPARE(verdict({}), Verdict::proceed);
    QCOMPARE(verdict({{"If-Match", "\"a,b\""}}), Verdict::proceed);
    QCOMPARE(verdict({{"If-Match", "*"}}), Verdict::proceed);
    QCOMPARE(verdict({{"If-Match", "W/\"a,b\""}}), Verdict::failed);
    QCOMPARE(verdict({{"If-Match", "\"a\""}}), Verdict::failed);
    QCOMPARE(verdict({{"If-Match", "\"x\""}, {"If-Match", "\"a,b\""}}), Verdict::proceed);
    QCOMPARE(verdict({{"If-Unmodified-Since", before}}), Verdict::failed);
    QCOMPARE(verdict({{"If-Unmodified-Since", same}}), Verdict::proceed);
    QCOMPARE(verdict({{"If-Unmodified-Since", before}, {"If-Match", "*"}}), Verdict::proceed);
    QCOMPARE(verdict({{"If-None-Match", "*"}}), Verdict::not_modified);
    QCOMPARE(verdict({{"If-None-Match", "\"x\" , W/\"a,b\""}}), Verdict::not_modified);
    QCOMPARE(verdict({{"If-None-Match", "a,b"}}), Verdict::proceed);
    QCOMPARE(verdict({{"If-None-Match", "\"x"}}), Verdict::proceed);
    QCOMPARE(verdict({{"If-Modified-Since", same}}), Verdict::not_modified);
    QCOMPARE(verdict({{"If-Modified-Since", before}}), Verdict::proceed);
    QCOMPARE(verdict({{"If-Modified-Since", "yesterday"}}), Verdict::proceed);
    QCOMPARE(verdict({{"If-None-Match", "\"x\""}, {"If-Modified-Since", same}}), Verdict::proceed);
}

QTEST_GUILESS_MAIN(HttpFieldsTest)
#include "test_http_fields.moc"
