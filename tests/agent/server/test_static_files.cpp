#include <sys/stat.h>
#include <unistd.h>
#include <QTemporaryDir>
#include <QTest>
#include <filesystem>
#include <fstream>

#include "agent/server/file_directory.hpp"
#include "http_client.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLarge = 20 << 20;

void write_file(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>('a' + i % 23 + i / 4096 % 3);
    return text;
}

std::string get(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

}  // namespace

class StaticFilesTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void init() {
        Router router = test_router();
        router.files("/static", root().string(), {.cache_control = "max-age=60"});
        router.files("/all", root().string(), {.index = "", .dot_files = true});
        worker_ = std::make_unique<WorkerProcesses>(std::move(router));
        worker_->start();
    }
    void cleanup() {
        QCOMPARE(worker_->stop(0), 0);
        worker_.reset();
    }

    void a_directory_opens_only_what_is_beneath_data();
    void a_directory_opens_only_what_is_beneath();
    void serves_what_may_be_served_data();
    void serves_what_may_be_served();
    void says_what_the_file_is();
    void sends_a_directory_on_to_its_index();
    void answers_head_with_the_length();
    void answers_ranges_data();
    void answers_ranges();
    void a_range_counts_only_for_the_same_version();
    void tells_who_has_it_already();
    void sends_a_large_file_to_fast_and_slow_readers();
    void sends_a_part_of_a_large_file();
    void a_file_that_shrinks_ends_the_connection();
    void a_file_that_grows_is_sent_as_it_was();
    void survives_readers_that_go_away();
    void leaves_no_descriptor_open();
    void refuses_a_directory_that_is_not_there();

private:
    fs::path root() const { return fs::path(directory_.path().toStdString()) / "www"; }
    std::string address() const { return worker_->address(); }

    QTemporaryDir directory_;
    std::unique_ptr<WorkerProcesses> worker_;
};

void StaticFilesTest::initTestCase() {
    fs::create_directories(root() / "sub" / "deep");
    fs::create_directories(root() / ".git");
    fs::create_directories(root() / "bare");
    write_file(root() / "a.txt", "hello");
    write_file(root() / "empty.css", "");
    write_file(root() / "sp ace%.html", "space");
    write_file(root() / "sub" / "index.html", "the index");
    write_file(root() / "sub" / "deep" / "b.json", "{}");
    write_file(root() / ".secret", "secret");
    write_file(root() / ".git" / "config", "secret");
    write_file(root() / "large.bin", pattern(kLarge));
    write_file(root().parent_path() / "outside.txt", "outside");
    fs::create_symlink("a.txt", root() / "inner-link");
    fs::create_symlink("../outside.txt", root() / "outer-link");
    fs::create_symlink("/etc/passwd", root() / "absolute-link");
    fs::create_symlink("..", root() / "up");
    fs::create_symlink("loop", root() / "loop");
    fs::create_symlink("/dev/null", root() / "null-link");
    QCOMPARE(::mkfifo((root() / "fifo").c_str(), 0600), 0);
}

void StaticFilesTest::a_directory_opens_only_what_is_beneath_data() {
    QTest::addColumn<QByteArray>("path");
    QTest::addColumn<QString>("with_openat2");
    QTest::addColumn<QString>("without");
    const auto row = [](const char* path, const char* with_openat2, const char* without) {
        QTest::newRow(path) << QByteArray(path) << with_openat2 << without;
    };
    row("a.txt", "file", "file");
    row("sub/deep/b.json", "file", "file");
    row("sub", "directory", "directory");
    row("inner-link", "file", "nothing");
    row("outer-link", "nothing", "nothing");
    row("absolute-link", "nothing", "nothing");
    row("null-link", "nothing", "nothing");
    row("up", "nothing", "nothing");
    row("up/outside.txt", "nothing", "nothing");
    row("loop", "nothing", "nothing");
    row("fifo", "nothing", "nothing");
    row("nowhere", "nothing", "nothing");
    row("a.txt/b", "nothing", "nothing");
    row("..", "nothing", "nothing");
    row("../outside.txt", "nothing", "nothing");
    row("sub/../a.txt", "nothing", "nothing");
    row("sub/./index.html", "nothing", "nothing");
    row("/etc/passwd", "nothing", "nothing");
    row("sub//index.html", "nothing", "nothing");
    row("", "nothing", "nothing");
}

void StaticFilesTest::a_directory_opens_only_what_is_beneath() {
    QFETCH(QByteArray, path);
    const auto found = [&](const server::FileDirectory& directory) {
        const auto what = directory.open(path.toStdString());
        return QString(!what ? "nothing" : what->is_directory ? "directory" : "file");
    };
    QTEST(found(server::FileDirectory(root())), "with_openat2");
    QTEST(found(server::FileDirectory::without_openat2(root())), "without");
}

void StaticFilesTest::serves_what_may_be_served_data() {
    QTest::addColumn<QByteArray>("target");
    QTest::addColumn<int>("status");
    QTest::addColumn<QByteArray>("body");
    const auto row = [](const char* target, int status, const char* body = "") {
        QTest::newRow(target) << QByteArray(target) << status << QByteArray(body);
    };
    row("/static/a.txt", 200, "hello");
    row("/static/a.txt?v=2", 200, "hello");
    row("/static/empty.css", 200, "");
    row("/static/sp%20ace%25.html", 200, "space");
    row("/static/sub/", 200, "the index");
    row("/static/sub/deep/b.json", 200, "{}");
    row("/static/inner-link", 200, "hello");
    row("/static/sub", 301);
    row("/static/", 404);
    row("/static", 404);
    row("/static/bare/", 404);
    row("/static/nowhere", 404);
    row("/static/a.txt/", 404);
    row("/static/../../outside.txt", 404);
    row("/static/%2e%2e/outside.txt", 404);
    row("/static/..%2foutside.txt", 404);
    row("/static/%2fetc%2fpasswd", 404);
    row("/static//etc/passwd", 404);
    row("/static/sub//index.html", 404);
    row("/static/outer-link", 404);
    row("/static/absolute-link", 404);
    row("/static/up/outside.txt", 404);
    row("/static/fifo", 404);
    row("/static/null-link", 404);
    row("/static/.secret", 404);
    row("/static/.git/config", 404);
    row("/static/%2esecret", 404);
    row("/all/.secret", 200, "secret");
    row("/all/sub/", 404);
    row("/all/sub", 404);
}

void StaticFilesTest::serves_what_may_be_served() {
    QFETCH(QByteArray, target);
    QFETCH(int, status);
    QFETCH(QByteArray, body);
    const Reply reply = ask(address(), get(target.toStdString()));
    QCOMPARE(reply.status, status);
    if (status == 200) QCOMPARE(QByteArray::fromStdString(reply.body), body);
}

void StaticFilesTest::says_what_the_file_is() {
    const Reply reply = ask(address(), get("/static/a.txt"));
    QCOMPARE(reply.header("content-type"), std::string("text/plain; charset=utf-8"));
    QCOMPARE(reply.header("content-length"), std::string("5"));
    QCOMPARE(reply.header("accept-ranges"), std::string("bytes"));
    QCOMPARE(reply.header("cache-control"), std::string("max-age=60"));
    QCOMPARE(reply.header("last-modified").size(), 29u);
    QVERIFY(reply.header("etag").starts_with('"'));
    QCOMPARE(ask(address(), get("/static/large.bin")).header("content-type"),
             std::string("application/octet-stream"));
    QVERIFY(ask(address(), get("/all/a.txt")).header("cache-control").empty());
    QCOMPARE(ask(address(), "POST /static/a.txt HTTP/1.1\r\nHost: h\r\n\r\n").header("allow"),
             std::string("GET, HEAD"));
}

void StaticFilesTest::sends_a_directory_on_to_its_index() {
    QCOMPARE(ask(address(), get("/static/sub?a=b")).header("location"), std::string("/static/sub/?a=b"));
}

void StaticFilesTest::answers_head_with_the_length() {
    HttpClient client(address());
    for (const char* name : {"a.txt", "large.bin"}) {
        client.send("HEAD /static/" + std::string(name) + " HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n\r\n");
        const Reply reply = client.read(true);
        QCOMPARE(reply.status, 200);  // ranges are for GET
        QCOMPARE(reply.header("content-length"), std::to_string(fs::file_size(root() / name)));
    }
    client.send(get("/hello"));
    QCOMPARE(client.read().body, std::string("Hello!\n"));
}

void StaticFilesTest::answers_ranges_data() {
    QTest::addColumn<QByteArray>("range");
    QTest::addColumn<int>("status");
    QTest::addColumn<QByteArray>("content_range");
    QTest::addColumn<QByteArray>("body");
    const auto row = [](const char* range, int status, const char* content_range, const char* body) {
        QTest::newRow(range) << QByteArray(range) << status << QByteArray(content_range) << QByteArray(body);
    };
    row("bytes=0-0", 206, "bytes 0-0/5", "h");
    row("bytes=1-3", 206, "bytes 1-3/5", "ell");
    row("bytes=1-", 206, "bytes 1-4/5", "ello");
    row("bytes=4-99", 206, "bytes 4-4/5", "o");
    row("bytes=-2", 206, "bytes 3-4/5", "lo");
    row("bytes=-99", 206, "bytes 0-4/5", "hello");
    row("bytes=5-", 416, "bytes */5", "");
    row("bytes=-0", 416, "bytes */5", "");
    row("bytes=99999999999999999999-", 416, "bytes */5", "");
    row("bytes=0-0,2-3", 200, "", "hello");  // several: the whole, see byte_range.hpp
    row("bytes=3-1", 200, "", "hello");
    row("lines=0-1", 200, "", "hello");
    row("bytes", 200, "", "hello");
    row("bytes=a-b", 200, "", "hello");
}

void StaticFilesTest::answers_ranges() {
    QFETCH(QByteArray, range);
    QFETCH(int, status);
    QFETCH(QByteArray, content_range);
    QFETCH(QByteArray, body);
    const Reply reply = ask(address(), get("/static/a.txt", "Range: " + range.toStdString() + "\r\n"));
    QCOMPARE(reply.status, status);
    QCOMPARE(QByteArray::fromStdString(reply.header("content-range")), content_range);
    if (status != 416) QCOMPARE(QByteArray::fromStdString(reply.body), body);
}

void StaticFilesTest::a_range_counts_only_for_the_same_version() {
    const Reply whole = ask(address(), get("/static/a.txt"));
    const auto status_for = [&](const std::string& validator) {
        return ask(address(), get("/static/a.txt", "Range: bytes=0-1\r\nIf-Range: " + validator + "\r\n"))
            .status;
    };
    QCOMPARE(status_for(whole.header("etag")), 206);
    QCOMPARE(status_for("W/" + whole.header("etag")), 200);
    QCOMPARE(status_for("\"other\""), 200);
    QCOMPARE(status_for(whole.header("last-modified")), 206);
    QCOMPARE(status_for("Sun, 06 Nov 1994 08:49:37 GMT"), 200);
    QCOMPARE(status_for("nonsense"), 200);
}

void StaticFilesTest::tells_who_has_it_already() {
    const Reply whole = ask(address(), get("/static/a.txt"));
    const std::string tag = whole.header("etag");
    HttpClient client(address());
    client.send(get("/static/a.txt", "If-None-Match: \"x\", W/" + tag + "\r\n"));
    const Reply reply = client.read(true);
    QCOMPARE(reply.status, 304);
    QCOMPARE(reply.header("etag"), tag);
    QCOMPARE(reply.header("cache-control"), std::string("max-age=60"));
    QVERIFY(reply.header("content-length").empty());
    client.send(get("/static/a.txt", "If-Modified-Since: " + whole.header("last-modified") + "\r\n"));
    QCOMPARE(client.read(true).status, 304);
    client.send(get("/static/a.txt", "If-Match: \"other\"\r\n"));
    QCOMPARE(client.read().status, 412);
    client.send(get("/static/a.txt", "If-None-Match: \"other\"\r\n"));
    QCOMPARE(client.read().body, std::string("hello"));
}

void StaticFilesTest::sends_a_large_file_to_fast_and_slow_readers() {
    const std::string expected = pattern(kLarge);
    for (const int receive_buffer : {0, 4096}) {
        HttpClient client(address(), receive_buffer);
        client.send(get("/static/large.bin") + get("/static/a.txt"));
        QCOMPARE(ask(address(), get("/hello")).status, 200);
        QVERIFY(client.read().body == expected);
        QCOMPARE(client.read().body, std::string("hello"));
    }
}

void StaticFilesTest::sends_a_part_of_a_large_file() {
    const std::string expected = pattern(kLarge);
    const Reply reply = ask(address(), get("/static/large.bin", "Range: bytes=1000-9000999\r\n"));
    QCOMPARE(reply.status, 206);
    QVERIFY(reply.body == expected.substr(1000, 9'000'000));
}

void StaticFilesTest::a_file_that_shrinks_ends_the_connection() {
    const fs::path path = root() / "shrinking.bin";
    write_file(path, pattern(kLarge));
    HttpClient client(address(), 4096);
    client.send(get("/static/shrinking.bin"));
    QCOMPARE(client.read_header().header("content-length"), std::to_string(kLarge));
    fs::resize_file(path, 1000);
    QVERIFY(client.read_rest().size() < kLarge);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().ring_head.load(), 1u, 20'000);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
}

void StaticFilesTest::a_file_that_grows_is_sent_as_it_was() {
    const fs::path path = root() / "growing.bin";
    write_file(path, pattern(kLarge));
    HttpClient client(address(), 4096);
    client.send(get("/static/growing.bin") + get("/hello"));
    const Reply header = client.read_header();
    fs::resize_file(path, kLarge + 100'000);
    std::size_t left = std::stoul(header.header("content-length"));
    QCOMPARE(left, kLarge);
    QVERIFY(client.read_exactly(left) == pattern(kLarge));
    QCOMPARE(client.read().body, std::string("Hello!\n"));
}

void StaticFilesTest::survives_readers_that_go_away() {
    for (int i = 0; i < 20; ++i)
        HttpClient(address()).send(get("/static/large.bin"));
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 0u, 20'000);
    QCOMPARE(ask(address(), get("/static/a.txt")).body, std::string("hello"));
}

void StaticFilesTest::leaves_no_descriptor_open() {
    HttpClient client(address());
    const auto ask_for_everything = [&] {
        for (const char* target : {"/static/a.txt", "/static/large.bin", "/static/sub", "/static/fifo"}) {
            client.send(get(target));
            client.read();
        }
        client.send("HEAD /static/large.bin HTTP/1.1\r\nHost: h\r\n\r\n");
        client.read(true);
    };
    ask_for_everything();
    const auto descriptors = [&] {
        const fs::directory_iterator open("/proc/" + std::to_string(worker_->seat().pid.load()) + "/fd");
        return std::distance(fs::begin(open), fs::end(open));
    };
    const auto before = descriptors();
    for (int i = 0; i < 5; ++i)
        ask_for_everything();
    QTRY_COMPARE(descriptors(), before);
}

void StaticFilesTest::refuses_a_directory_that_is_not_there() {
    Router router;
    QVERIFY_EXCEPTION_THROWN(router.files("/x", "/no/such/directory"), std::system_error);
    QVERIFY_EXCEPTION_THROWN(router.files("/x", root() / "a.txt"), std::system_error);
    QVERIFY_EXCEPTION_THROWN(router.files("/x", root(), {.cache_control = "a\r\nb: c"}),
                             std::invalid_argument);
}

SERVER_TEST_MAIN(StaticFilesTest)
#include "test_static_files.moc"
