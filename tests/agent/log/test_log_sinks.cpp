// Sinks and their writer: nobody waits for them, and whatever they could not write is counted and said.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QTemporaryDir>
#include <QtTest>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "signalbox/events.hpp"
#include "signalbox/log_sinks.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// A group of one worker, which is this process.
struct Process {
    Process() {
        tests::occupy(telemetry, 0, 1, static_cast<std::uint32_t>(::getpid()));
        telemetry.attach(0);
    }
    std::uint64_t dropped() {
        totals.collect();
        return totals.counter(R"(log_dropped_total{reason="queue_full"})") +
               totals.counter(R"(log_dropped_total{reason="sink"})");
    }

    Telemetry telemetry{{.group = "test"}};
    telemetry::SegmentView view{telemetry.segment().descriptor()};
    tests::Totals totals{view};
    EventLog log{telemetry};
};

template <class Sink, class Options>
std::vector<std::unique_ptr<LogSink>> only(Options options) {
    std::vector<std::unique_ptr<LogSink>> sinks;
    sinks.push_back(std::make_unique<Sink>(std::move(options)));
    return sinks;
}

/// Every line, parsed; one that does not parse fails the test.
std::vector<json> lines_of(const std::string& path) {
    std::vector<json> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        json parsed = json::parse(line, nullptr, false);
        if (parsed.is_discarded()) qFatal("this line is no JSON: %s", line.c_str());
        lines.push_back(std::move(parsed));
    }
    return lines;
}

std::uint64_t said_to_be_dropped(const std::vector<json>& lines) {
    std::uint64_t events = 0;
    for (const json& line : lines)
        if (line["name"] == "log_dropped") events += line["fields"]["events"].get<std::uint64_t>();
    return events;
}

auto count(const std::vector<json>& lines, const char* name) {
    return std::count_if(lines.begin(), lines.end(),
                         [name](const json& line) { return line["name"] == name; });
}

wire::Event numbered(std::int64_t number) {
    return {.name = "numbered", .text = std::string(50, 'x'), .fields = {{"number", number}}};
}

/// What is written to it can be read; not before it is asked for.
struct Pipe {
    Pipe() {
        if (::pipe2(ends, O_CLOEXEC) != 0) qFatal("no pipe");
        ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    ~Pipe() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    const std::string& read() {
        char buffer[65536];
        for (ssize_t bytes; (bytes = ::read(ends[0], buffer, sizeof buffer)) > 0;)
            text.append(buffer, static_cast<std::size_t>(bytes));
        return text;
    }
    int ends[2];
    std::string text;
};

LogWriter* writer_to_reopen = nullptr;

}  // namespace

class TestLogSinks : public QObject {
    Q_OBJECT
private slots:
    void init() { folder_ = std::make_unique<QTemporaryDir>(); }

    void a_line_for_people_says_what_happened();
    void text_from_outside_cannot_play_with_the_terminal();
    void colours_are_for_terminals();
    void a_line_of_json_has_everything_with_its_type();
    void severities_below_the_least_are_left_out();
    void all_that_was_logged_is_there_after_the_end();
    void eight_threads_lose_nothing_uncounted();
    void files_are_rotated_and_the_oldest_dropped();
    void two_processes_may_share_a_file();
    void a_file_that_others_rotate_is_opened_again();
    void a_signal_may_ask_to_reopen();
    void a_disk_that_is_full_blocks_nobody_and_is_counted();
    void a_disk_that_fills_up_leaves_no_half_lines();
    void a_directory_that_comes_back_is_used_again_and_told_what_is_missing();
    void a_pipe_that_nobody_reads_blocks_nobody();
    void the_end_keeps_its_deadline();
    void a_sink_that_throws_is_counted();
    void a_forked_child_has_a_writer_of_its_own();
    void bad_options_are_refused();

private:
    std::string path(const char* name) const { return folder_->filePath(name).toStdString(); }
    std::unique_ptr<QTemporaryDir> folder_;
};

void TestLogSinks::a_line_for_people_says_what_happened() {
    Pipe pipe;
    StderrSink sink({.descriptor = pipe.ends[1]});
    sink.put({.time = wire::WallTime(1783416600s + 250ms),
              .severity = wire::Severity::warning,
              .pid = 4242,
              .name = "charge",
              .text = "declined",
              .kind = wire::EventKind::failure,
              .duration = 12300us,
              .fields = {{"customer", std::string("c17")}}});
    sink.put({.name = "config_loaded", .text = "Read 12 rules.", .fields = {{"rules", std::int64_t{12}}}});
    const QStringList lines = QString::fromStdString(pipe.read()).split('\n');
    QCOMPARE(lines.size(), 3);
    static const QRegularExpression first(
        "^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:00.250 warning \\[4242\\] charge failed after 12.3 ms: declined "
        "\\(customer=c17\\)$");
    QVERIFY2(first.match(lines[0]).hasMatch(), qPrintable(lines[0]));
    QVERIFY2(lines[1].endsWith(" info [0] config_loaded: Read 12 rules. (rules=12)"), qPrintable(lines[1]));
}

void TestLogSinks::text_from_outside_cannot_play_with_the_terminal() {
    Pipe pipe;
    StderrSink sink({.descriptor = pipe.ends[1]});
    sink.put({.name = "na\x1bme",
              .text = "one\ntwo\x1b[31m\r\xff\xe2\x80\xae",
              .fields = {{"key\x07", std::string("val\nue\x9b")}}});
    const std::string line = pipe.read();
    QCOMPARE(line.find('\n'), line.size() - 1);
    for (const char c : line.substr(0, line.size() - 1))
        QVERIFY(static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f);
    QVERIFY(line.find("na\\x1bme: one\\ntwo\\x1b[31m\\r\\xff\\u202e") != std::string::npos);
}

void TestLogSinks::colours_are_for_terminals() {
    Pipe pipe;
    StderrSink plain({.descriptor = pipe.ends[1]});
    plain.put({.severity = wire::Severity::error, .name = "lost"});
    QVERIFY(pipe.read().find('\x1b') == std::string::npos);
    StderrSink coloured({.colour = StderrOptions::Colour::always, .descriptor = pipe.ends[1]});
    coloured.put({.severity = wire::Severity::error, .name = "lost"});
    QVERIFY(pipe.read().find("\x1b[31merror\x1b[0m [0] lost") != std::string::npos);
}

void TestLogSinks::a_line_of_json_has_everything_with_its_type() {
    Process process;
    {
        LogWriter writer(process.telemetry, only<JsonLinesSink>(JsonLinesOptions{.path = path("log")}));
        process.log.info("config_loaded", "Read \"12\" rules.\n", {{"path", "\xff"}, {"rules", 12}});
        auto charge = process.log.action("charge", {{"amount", 12.5}, {"again", true}});
        charge.failure("declined");
    }
    const auto lines = lines_of(path("log"));
    QCOMPARE(lines.size(), 2u);
    static const QRegularExpression time("^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z$");
    QVERIFY(time.match(QString::fromStdString(lines[0]["time"])).hasMatch());
    QVERIFY(lines[0]["severity"] == "info" && lines[0]["name"] == "config_loaded");
    QVERIFY(lines[0]["text"] == "Read \"12\" rules.\n" && lines[0]["kind"] == "event");
    QVERIFY(lines[0]["pid"] == ::getpid() && lines[0]["generation"] == 1);
    QVERIFY(lines[0]["fields"]["path"] == "\xef\xbf\xbd" && lines[0]["fields"]["rules"] == 12);
    QVERIFY(lines[1]["kind"] == "failure" && lines[1]["severity"] == "warning");
    QVERIFY(lines[1]["duration_seconds"].is_number_float());
    QVERIFY(lines[1]["fields"]["amount"].is_number_float() && lines[1]["fields"]["again"] == true);
    QCOMPARE(process.dropped(), 0u);
}

void TestLogSinks::severities_below_the_least_are_left_out() {
    Process process;
    {
        auto sinks =
            only<JsonLinesSink>(JsonLinesOptions{.path = path("warnings"), .least = wire::Severity::warning});
        sinks.push_back(std::make_unique<JsonLinesSink>(
            JsonLinesOptions{.path = path("all"), .least = wire::Severity::debug}));
        LogWriter writer(process.telemetry, std::move(sinks));
        process.log.debug("chatter", "");
        process.log.info("news", "");
        process.log.error("lost", "");
        auto action = process.log.action("charge");
    }
    QCOMPARE(lines_of(path("warnings")).size(), 1u);
    const auto all = lines_of(path("all"));
    QCOMPARE(all.size(), 5u);
    QVERIFY(all[3]["kind"] == "begin" && all[4]["kind"] == "success");
}

void TestLogSinks::all_that_was_logged_is_there_after_the_end() {
    Process process;
    {
        LogWriter writer(process.telemetry, only<JsonLinesSink>(JsonLinesOptions{.path = path("log")}),
                         {.queue = 4096});
        for (int i = 0; i < 3000; ++i)
            process.log.info("numbered", "", {{"number", i}});
    }
    const auto lines = lines_of(path("log"));
    QCOMPARE(lines.size(), 3000u);
    for (std::size_t i = 0; i < lines.size(); ++i)
        QVERIFY(lines[i]["fields"]["number"] == i);
}

void TestLogSinks::eight_threads_lose_nothing_uncounted() {
    Process process;
    constexpr unsigned kThreads = 8;
    constexpr unsigned kEach = 2000;
    {
        LogWriter writer(process.telemetry, only<JsonLinesSink>(JsonLinesOptions{.path = path("log")}),
                         {.queue = 64, .flush_deadline = 60s});
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < kThreads; ++t)
            threads.emplace_back([&process, t] {
                for (unsigned i = 0; i < kEach; ++i)
                    process.log.info("numbered", "", {{"thread", t}, {"number", i}});
            });
        for (auto& thread : threads)
            thread.join();
    }
    const auto lines = lines_of(path("log"));
    std::array<std::int64_t, kThreads> last;
    last.fill(-1);
    for (const json& line : lines) {
        if (line["name"] != "numbered") continue;
        auto& before = last.at(line["fields"]["thread"].get<std::size_t>());
        QVERIFY(line["fields"]["number"] > before);
        before = line["fields"]["number"];
    }
    const std::uint64_t dropped = process.dropped();
    QCOMPARE(static_cast<std::uint64_t>(count(lines, "numbered")) + dropped, std::uint64_t{kThreads * kEach});
    QCOMPARE(said_to_be_dropped(lines), dropped);
}

void TestLogSinks::files_are_rotated_and_the_oldest_dropped() {
    JsonLinesSink sink({.path = path("log"), .rotate_at_bytes = 2000, .keep = 2});
    for (int i = 0; i < 100; ++i) {
        sink.put(numbered(i));
        if (i % 7 == 0) sink.settle();
    }
    sink.settle();
    QCOMPARE(sink.waiting(), 0u);
    std::vector<json> lines;
    for (const char* name : {"log.2", "log.1", "log"}) {
        QVERIFY(std::filesystem::file_size(path(name)) <= 2000);
        for (json& line : lines_of(path(name)))
            lines.push_back(std::move(line));
    }
    QVERIFY(!std::filesystem::exists(path("log.3")));
    QVERIFY(lines.size() > 10 && lines.size() < 100);
    for (std::size_t i = 0; i < lines.size(); ++i)
        QVERIFY(lines[i]["fields"]["number"] == 100 - lines.size() + i);

    JsonLinesSink forgetful({.path = path("short"), .rotate_at_bytes = 1000, .keep = 0});
    for (int i = 0; i < 50; ++i)
        forgetful.put(numbered(i));
    forgetful.settle();
    QVERIFY(!std::filesystem::exists(path("short.1")));
    QVERIFY(lines_of(path("short")).back()["fields"]["number"] == 49);
}

void TestLogSinks::two_processes_may_share_a_file() {
    const JsonLinesOptions options{.path = path("log"), .rotate_at_bytes = 8000, .keep = 1000};
    std::vector<pid_t> children;
    for (int child = 0; child < 2; ++child) {
        children.push_back(fork());
        if (children.back() != 0) continue;
        JsonLinesSink sink(options);
        for (int i = 0; i < 500; ++i) {
            sink.put(numbered(child * 1000 + i));
            if (i % 5 == 0) sink.settle();
        }
        sink.settle();
        _exit(sink.waiting() == 0 ? 0 : 1);
    }
    for (const pid_t child : children) {
        int status = -1;
        waitpid(child, &status, 0);
        QCOMPARE(status, 0);
    }
    std::set<std::int64_t> numbers;
    for (const auto& file : std::filesystem::directory_iterator(folder_->path().toStdString()))
        for (const json& line : lines_of(file.path()))
            QVERIFY(numbers.insert(line["fields"]["number"].get<std::int64_t>()).second);
    QCOMPARE(numbers.size(), 1000u);
}

void TestLogSinks::a_file_that_others_rotate_is_opened_again() {
    JsonLinesSink sink({.path = path("log")});
    sink.put(numbered(1));
    sink.settle();
    std::filesystem::rename(path("log"), path("old"));
    sink.put(numbered(2));
    sink.settle();
    QCOMPARE(lines_of(path("old")).size(), 1u);
    QVERIFY(lines_of(path("log")).at(0)["fields"]["number"] == 2);
    std::filesystem::remove(path("log"));
    sink.put(numbered(3));
    sink.settle();
    QVERIFY(lines_of(path("log")).at(0)["fields"]["number"] == 3);
}

void TestLogSinks::a_signal_may_ask_to_reopen() {
    Process process;
    LogWriter writer(process.telemetry, only<JsonLinesSink>(JsonLinesOptions{.path = path("log")}));
    writer_to_reopen = &writer;
    const auto before = std::signal(SIGUSR1, [](int) { writer_to_reopen->reopen(); });
    process.log.info("first", "");
    QTRY_COMPARE(lines_of(path("log")).size(), 1u);
    std::filesystem::rename(path("log"), path("old"));
    ::raise(SIGUSR1);
    QTRY_VERIFY(std::filesystem::exists(path("log")));  // before anything else is logged
    std::signal(SIGUSR1, before);
}

void TestLogSinks::a_disk_that_is_full_blocks_nobody_and_is_counted() {
    Process process;
    constexpr unsigned kEvents = 20000;
    {
        LogWriter writer(process.telemetry,
                         only<JsonLinesSink>(JsonLinesOptions{.path = "/dev/full", .buffer_bytes = 4096}));
        for (unsigned i = 0; i < kEvents; ++i)
            process.log.info("numbered", "", {{"number", i}});
        QTRY_VERIFY(process.dropped() > 0);
    }
    // The sink's own lines about what is missing may be among what it could not write.
    QVERIFY(process.dropped() >= kEvents && process.dropped() < kEvents + 100);
}

void TestLogSinks::a_disk_that_fills_up_leaves_no_half_lines() {
    // A limit on the size of files is what a full disk looks like: a write that is cut short, then errors.
    JsonLinesSink sink({.path = path("log")});
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit tight{1000, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &tight);
    for (int i = 0; i < 20; ++i)
        sink.put(numbered(i));
    sink.settle();
    const auto waiting = sink.waiting();
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    const auto first = lines_of(path("log"));
    QVERIFY(!first.empty() && first.size() < 20);
    QCOMPARE(waiting, 20 - first.size());
    sink.reopen();
    sink.settle();
    const auto lines = lines_of(path("log"));
    QCOMPARE(lines.size(), 20u);
    for (std::size_t i = 0; i < lines.size(); ++i)
        QVERIFY(lines[i]["fields"]["number"] == i);
}

void TestLogSinks::a_directory_that_comes_back_is_used_again_and_told_what_is_missing() {
    Process process;
    std::filesystem::create_directory(path("logs"));
    std::uint64_t logged = 1;
    {
        LogWriter writer(process.telemetry, only<JsonLinesSink>(JsonLinesOptions{.path = path("logs/log"),
                                                                                 .buffer_bytes = 2000}));
        process.log.info("numbered", "");
        QTRY_COMPARE(lines_of(path("logs/log")).size(), 1u);
        std::filesystem::remove_all(path("logs"));
        for (; process.dropped() == 0; ++logged)
            process.log.info("numbered", "");
        std::filesystem::create_directory(path("logs"));
        QTRY_VERIFY(said_to_be_dropped(lines_of(path("logs/log"))) > 0);
    }
    const auto lines = lines_of(path("logs/log"));  // all but the first, which went with the directory
    QCOMPARE(static_cast<std::uint64_t>(count(lines, "numbered")) + process.dropped() + 1, logged);
    QCOMPARE(said_to_be_dropped(lines), process.dropped());
}

void TestLogSinks::a_pipe_that_nobody_reads_blocks_nobody() {
    Process process;
    Pipe pipe;
    LogWriter writer(process.telemetry, only<StderrSink>(StderrOptions{.descriptor = pipe.ends[1]}),
                     {.queue = 16});
    const std::string text(1000, 'x');
    for (int i = 0; i < 2000 || process.dropped() == 0; ++i)
        process.log.info("numbered", text);
    const auto said = [&pipe] { return pipe.read().find("dropped (events=") != std::string::npos; };
    QTRY_VERIFY(said());
}

void TestLogSinks::the_end_keeps_its_deadline() {
    Process process;
    Pipe pipe;
    constexpr int kEvents = 500;
    {
        LogWriter writer(process.telemetry, only<StderrSink>(StderrOptions{.descriptor = pipe.ends[1]}),
                         {.queue = 512, .flush_deadline = 50ms});
        const std::string text(1000, 'x');
        for (int i = 0; i < kEvents; ++i)
            process.log.info("numbered", text);
    }
    const std::string& written = pipe.read();
    const auto lines = static_cast<std::uint64_t>(QString::fromStdString(written).count("numbered: "));
    QVERIFY(lines < kEvents);
    QCOMPARE(lines + process.dropped(), std::uint64_t{kEvents});
}

void TestLogSinks::a_sink_that_throws_is_counted() {
    struct Thrower : LogSink {
        explicit Thrower(wire::Severity severity) : LogSink(severity) {}
        bool write(const wire::Event&) override { throw std::runtime_error("no"); }
    };
    Process process;
    {
        auto sinks = only<Thrower>(wire::Severity::info);
        sinks.push_back(std::make_unique<JsonLinesSink>(JsonLinesOptions{.path = path("log")}));
        LogWriter writer(process.telemetry, std::move(sinks));
        process.log.info("first", "");
        process.log.info("second", "");
    }
    QCOMPARE(lines_of(path("log")).size(), 2u);
    QCOMPARE(process.dropped(), 2u);
}

void TestLogSinks::a_forked_child_has_a_writer_of_its_own() {
#ifdef __SANITIZE_THREAD__
    QSKIP("ThreadSanitizer cannot follow threads that start after a fork with threads");
#endif
    Telemetry telemetry({.group = "test"});
    const EventLog log(telemetry);
    tests::occupy(telemetry, 0, 1);
    {
        LogWriter writer(telemetry, only<JsonLinesSink>(JsonLinesOptions{.path = path("parent")}));
        log.info("of_the_parent", "");
        const pid_t child = fork();
        if (child == 0) {
            telemetry.attach(0);
            log.info("to_the_ring_only", "");
            {
                LogWriter own(telemetry, only<JsonLinesSink>(JsonLinesOptions{.path = path("child")}));
                log.info("of_the_child", "");
            }
            _exit(0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        QCOMPARE(status, 0);
        log.info("of_the_parent", "");
    }
    QCOMPARE(lines_of(path("parent")).size(), 2u);
    QCOMPARE(count(lines_of(path("parent")), "of_the_parent"), 2);
    QCOMPARE(lines_of(path("child")).size(), 1u);
}

void TestLogSinks::bad_options_are_refused() {
    Process process;
    QVERIFY_EXCEPTION_THROWN(JsonLinesSink({.path = ""}), std::invalid_argument);
    QVERIFY_EXCEPTION_THROWN(LogWriter(process.telemetry, {}, {.queue = 0}), std::invalid_argument);
    QVERIFY_EXCEPTION_THROWN(LogWriter(process.telemetry, {}, {.queue = std::size_t{1} << 40}),
                             std::invalid_argument);
}

QTEST_GUILESS_MAIN(TestLogSinks)
#include "test_log_sinks.moc"
