#include <zlib.h>
#include <zstd.h>
#include <QTemporaryDir>
#include <QTest>
#include <fstream>

#include "agent/server/encoder.hpp"
#include "http_client.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

std::string text_of(std::size_t size) {
    std::string text;
    for (unsigned i = 0; text.size() < size; ++i)
        text += "line " + std::to_string(i * 7919 % 1000) + '\n';
    text.resize(size);
    return text;
}

/// What can be decoded of the beginning of a stream.
std::string gunzip(std::string_view coded) {
    z_stream stream{};
    inflateInit2(&stream, 15 + 16);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(coded.data()));
    stream.avail_in = static_cast<uInt>(coded.size());
    std::string text;
    char buffer[4096];
    int status = Z_OK;
    do {
        stream.next_out = reinterpret_cast<Bytef*>(buffer);
        stream.avail_out = sizeof buffer;
        status = inflate(&stream, Z_SYNC_FLUSH);
        text.append(buffer, sizeof buffer - stream.avail_out);
    } while (status == Z_OK && stream.avail_out == 0);
    inflateEnd(&stream);
    return text;
}

std::string unzstd(std::string_view coded) {
    ZSTD_DStream* const stream = ZSTD_createDStream();
    ZSTD_inBuffer input{coded.data(), coded.size(), 0};
    std::string text;
    char buffer[4096];
    ZSTD_outBuffer output{};
    do {
        output = {buffer, sizeof buffer, 0};
        if (ZSTD_isError(ZSTD_decompressStream(stream, &output, &input))) break;
        text.append(buffer, output.pos);
    } while (input.pos < input.size || output.pos == sizeof buffer);
    ZSTD_freeDStream(stream);
    return text;
}

std::string decoded(const Reply& reply) {
    const std::string coding = reply.header("content-encoding");
    return coding == "gzip" ? gunzip(reply.body) : coding == "zstd" ? unzstd(reply.body) : reply.body;
}

std::string get(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

const std::string kGzip = "Accept-Encoding: gzip\r\n";
const std::string kZstd = "Accept-Encoding: zstd\r\n";

awaitable<void> hourly(ResponseStream& out) {
    while (!out.stopping()) {
        co_await out.write("data: tick\n\n");
        co_await out.pause(1h);
    }
}

awaitable<void> long_stream(ResponseStream& out) {
    const std::string text = text_of(1'000'000);
    co_await out.write(text);
    co_await out.write("the end");
}

Response with_field(const char* name, const char* value) {
    Response response = Response::text(text_of(5000));
    response.headers.set(name, value);
    return response;
}

}  // namespace

class CompressionTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { QVERIFY(files_.isValid()); }
    void init();
    void cleanup() {
        QCOMPARE(worker_->stop(0), 0);
        worker_.reset();
    }

    void every_piece_can_be_decoded_at_once_data();
    void every_piece_can_be_decoded_at_once();
    void bodies_come_back_as_they_were_data();
    void bodies_come_back_as_they_were();
    void says_what_it_did();
    void leaves_alone_what_should_be_left_alone_data();
    void leaves_alone_what_should_be_left_alone();
    void head_says_what_get_would();
    void the_connection_goes_on_afterwards();
    void events_arrive_one_by_one();
    void http_1_0_reads_up_to_the_end();
    void a_file_is_coded_but_not_its_ranges();
    void nothing_is_coded_where_it_was_not_chosen();

private:
    std::string address() const { return worker_->address(); }
    QTemporaryDir files_;
    std::unique_ptr<WorkerProcesses> worker_;
};

void CompressionTest::init() {
    for (const std::size_t size : {5000u, 1'000'000u})
        std::ofstream(files_.filePath(QString("%1.txt").arg(size)).toStdString()) << text_of(size);
    Router router = test_router();
    router.get("/text/:size", [](const Request& request) {
        Response response = Response::text(text_of(std::stoul(std::string(request.parameter("size")))));
        response.headers.add("ETag", "\"strong\"");
        return response;
    });
    router.get("/png", [](const Request&) { return with_field("Content-Type", "image/png"); });
    router.get("/coded", [](const Request&) { return with_field("Content-Encoding", "br"); });
    router.get("/kept", [](const Request&) { return with_field("Cache-Control", "a, no-transform"); });
    router.get("/part", [](const Request&) {
        Response response = with_field("Content-Range", "bytes 0-4999/9000");
        response.status = 206;
        return response;
    });
    router.get("/error", [](const Request&) { return Response::text(text_of(5000), 500); });
    router.get("/vary", [](const Request&) { return with_field("Vary", "Cookie, accept-encoding"); });
    router.get("/hourly", [](const Request&) { return Response::stream("text/event-stream", hourly); });
    router.get("/stream", [](const Request&) { return Response::stream("text/plain", long_stream); });
    router.files("/files", files_.path().toStdString());
    worker_ = std::make_unique<WorkerProcesses>(std::move(router),
                                                ListenerOptions{.compression = CompressionOptions{}});
    worker_->start();
}

void CompressionTest::every_piece_can_be_decoded_at_once_data() {
    QTest::addColumn<bool>("gzip");
    QTest::newRow("gzip") << true;
    QTest::newRow("zstd") << false;
}

void CompressionTest::every_piece_can_be_decoded_at_once() {
    QFETCH(bool, gzip);
    const auto encoder = server::make_encoder(gzip ? server::Coding::gzip : server::Coding::zstd, {});
    const auto decode = gzip ? gunzip : unzstd;
    std::string coded;
    std::string text;
    for (const std::size_t size : {1u, 0u, 20u, 100'000u, 3u}) {
        const std::string piece = text_of(size);
        text += piece;
        encoder->write(piece, coded);
        QVERIFY(decode(coded) == text);
    }
    encoder->finish("end", coded);
    QVERIFY(decode(coded) == text + "end");
}

void CompressionTest::bodies_come_back_as_they_were_data() {
    QTest::addColumn<QByteArray>("target");
    QTest::addColumn<int>("size");
    for (const int size : {1024, 5000, 128 * 1024, 128 * 1024 + 1, 3'000'000})
        QTest::addRow("text of %d", size) << QByteArray("/text/") + QByteArray::number(size) << size;
    QTest::newRow("file") << QByteArray("/files/5000.txt") << 5000;
    QTest::newRow("large file") << QByteArray("/files/1000000.txt") << 1'000'000;
}

void CompressionTest::bodies_come_back_as_they_were() {
    QFETCH(QByteArray, target);
    QFETCH(int, size);
    for (const std::string& fields : {kGzip, kZstd, std::string()}) {
        const Reply reply = ask(address(), get(target.toStdString(), fields));
        QCOMPARE(reply.status, 200);
        QCOMPARE(reply.header("content-encoding").empty(), fields.empty());
        QVERIFY(decoded(reply) == text_of(static_cast<std::size_t>(size)));
        if (!fields.empty()) QVERIFY(reply.body.size() < static_cast<std::size_t>(size) / 2);
    }
}

void CompressionTest::says_what_it_did() {
    const Reply reply = ask(address(), get("/text/5000", kGzip));
    QCOMPARE(reply.header("content-encoding"), std::string("gzip"));
    QCOMPARE(reply.header("vary"), std::string("Accept-Encoding"));
    QCOMPARE(reply.header("etag"), std::string("W/\"strong\""));
    QCOMPARE(reply.header("content-length"), std::to_string(reply.body.size()));
    const Reply plain = ask(address(), get("/text/5000"));
    QCOMPARE(plain.header("vary"), std::string("Accept-Encoding"));
    QCOMPARE(plain.header("etag"), std::string("\"strong\""));
    QCOMPARE(ask(address(), get("/vary", kGzip)).header("vary"), std::string("Cookie, accept-encoding"));
}

void CompressionTest::leaves_alone_what_should_be_left_alone_data() {
    QTest::addColumn<QByteArray>("target");
    for (const char* target : {"/text/1023", "/hello", "/png", "/coded", "/kept", "/part", "/error"})
        QTest::newRow(target) << QByteArray(target);
}

void CompressionTest::leaves_alone_what_should_be_left_alone() {
    QFETCH(QByteArray, target);
    const Reply reply = ask(address(), get(target.toStdString(), kGzip));
    QCOMPARE(reply.header("content-encoding"), std::string(target == "/coded" ? "br" : ""));
    QCOMPARE(reply.header("vary"), std::string());
    QVERIFY(reply.body == ask(address(), get(target.toStdString())).body);
}

void CompressionTest::head_says_what_get_would() {
    HttpClient client(address());
    for (const char* target : {"/text/5000", "/text/300000", "/stream", "/files/5000.txt"}) {
        client.send("HEAD " + get(target, kGzip).substr(4) + get(target, kGzip));
        const Reply head = client.read(true);
        const Reply reply = client.read();
        QCOMPARE(head.header("content-encoding"), std::string("gzip"));
        QCOMPARE(head.header("etag"), reply.header("etag"));
        if (target == std::string("/text/5000"))
            QCOMPARE(head.header("content-length"), reply.header("content-length"));
    }
}

void CompressionTest::the_connection_goes_on_afterwards() {
    HttpClient client(address());
    client.send(get("/stream", kZstd) + get("/text/3000000", kGzip) + get("/text/2000", kZstd) +
                get("/hello"));
    QVERIFY(decoded(client.read()) == text_of(1'000'000) + "the end");
    QVERIFY(decoded(client.read()) == text_of(3'000'000));
    QVERIFY(decoded(client.read()) == text_of(2000));
    QCOMPARE(client.read().body, std::string("Hello!\n"));
}

void CompressionTest::events_arrive_one_by_one() {
    for (const std::string& fields : {kGzip, kZstd}) {
        HttpClient client(address());
        client.send(get("/hourly", fields));
        Reply reply = client.read_header();
        reply.body = client.read_chunk();
        QCOMPARE(decoded(reply), std::string("data: tick\n\n"));
    }
}

void CompressionTest::http_1_0_reads_up_to_the_end() {
    HttpClient client(address());
    client.send("GET /stream HTTP/1.0\r\n" + kGzip + "\r\n");
    Reply reply = client.read_header();
    reply.body = client.read_rest();
    QVERIFY(decoded(reply) == text_of(1'000'000) + "the end");
}

void CompressionTest::a_file_is_coded_but_not_its_ranges() {
    const Reply whole = ask(address(), get("/files/5000.txt", kGzip));
    QCOMPARE(whole.header("content-encoding"), std::string("gzip"));
    const std::string tag = whole.header("etag");
    QVERIFY(tag.starts_with("W/"));
    const Reply part = ask(address(), get("/files/5000.txt", kGzip + "Range: bytes=0-3999\r\n"));
    QCOMPARE(part.status, 206);
    QCOMPARE(part.header("content-encoding"), std::string());
    QVERIFY(part.body == text_of(5000).substr(0, 4000));
    HttpClient client(address());
    client.send(get("/files/5000.txt", kGzip + "If-None-Match: " + tag + "\r\n"));
    const Reply unchanged = client.read(true);
    QCOMPARE(unchanged.status, 304);
    QCOMPARE(unchanged.header("vary"), std::string("Accept-Encoding"));
}

void CompressionTest::nothing_is_coded_where_it_was_not_chosen() {
    WorkerProcesses other(test_router());
    other.start();
    const Reply reply = ask(other.address(), get("/large", kGzip));
    QCOMPARE(reply.header("content-encoding"), std::string());
    QCOMPARE(reply.header("vary"), std::string());
    QCOMPARE(other.stop(0), 0);
}

SERVER_TEST_MAIN(CompressionTest)
#include "test_compression.moc"
