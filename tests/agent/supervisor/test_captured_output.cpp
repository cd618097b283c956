// What processes print comes out whole, with whose it is, whoever floods, crashes or does not read.
#include <fcntl.h>
#include <signal.h>

#include <QFile>
#include <QTemporaryDir>
#include <QtTest>

#include "agent/supervisor/captured_output.hpp"
#include "tests/agent/supervisor/running_arbiter.hpp"

using namespace signalbox;
using namespace signalbox::tests;
using telemetry::SeatWriter;
using Notify = std::function<void()>;

class TestCapturedOutput : public QObject {
    Q_OBJECT
private slots:
    void init();
    void lines_are_escaped_and_say_whose_they_are();
    void a_long_line_comes_in_parts_and_the_last_one_without_its_end();
    void the_last_words_of_a_crashing_worker_are_whole();
    void a_worker_that_floods_stops_neither_itself_nor_others();
    void a_stderr_that_nobody_reads_stops_nobody();
    void usr1_opens_the_file_again();
    void without_capture_workers_write_where_the_arbiter_does();

private:
    ArbiterConfig config(unsigned workers) const {
        ArbiterConfig config = with_workers(workers);
        config.capture_output = true;
        config.output_file = file_.toStdString();
        return config;
    }
    QByteArray written() const {
        QFile file(file_);
        return file.open(QFile::ReadOnly) ? file.readAll() : QByteArray();
    }
    std::unique_ptr<QTemporaryDir> directory_;
    QString file_;
};

namespace {

void print(std::string_view text, int descriptor = STDERR_FILENO) {
    while (!text.empty()) {
        const ssize_t length = write(descriptor, text.data(), text.size());
        if (length <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(length));
    }
}

std::vector<std::string> lines_of(const std::string& bytes) {
    int ends[2];
    if (pipe(ends) != 0) return {};
    OutputLines lines(ends[0]);
    std::vector<std::string> all;
    const auto keep = [&](std::string_view line) { all.emplace_back(line); };
    for (std::size_t done = 0; done < bytes.size(); done += 1000) {
        print(std::string_view(bytes).substr(done, 1000), ends[1]);
        lines.read(keep);
    }
    close(ends[1]);
    lines.read(keep);
    return all;
}

}  // namespace

void TestCapturedOutput::init() {
    directory_ = std::make_unique<QTemporaryDir>();
    file_ = directory_->filePath("output");
}

void TestCapturedOutput::lines_are_escaped_and_say_whose_they_are() {
    ArbiterConfig group_config = config(2);
    group_config.worker = [](SeatWriter& seat, const Notify& notify) {
        if (seat.slot() == 1) {
            std::printf("printed\n");  // although it is no terminal, at once
            print("harm \x1b[31m and \xff\r\nLetters: \xc3\xa4\n");
        }
        return live(seat, notify);
    };
    Running group(group_config);
    QTRY_VERIFY(group.all_ready(2));
    QTRY_VERIFY(written().contains("worker 1, generation 2: printed\n"));
    QTRY_VERIFY(
        written().contains("worker 1, generation 2: harm \\x1b[31m and \\xff\n"
                           "worker 1, generation 2: Letters: \xc3\xa4\n"));
    QVERIFY(!written().contains("worker 0"));
}

void TestCapturedOutput::a_long_line_comes_in_parts_and_the_last_one_without_its_end() {
    const std::string most(OutputLines::kLongestLine, 'x');
    QCOMPARE(lines_of("one\n\n" + most + "yz\nlast"),
             (std::vector<std::string>{"one", "", most, "yz", "last"}));
    QVERIFY(lines_of("").empty());
    // A character is not cut in two.
    const auto parts = lines_of(most.substr(1) + "\xc3\xa4" + "\n");
    QCOMPARE(parts, (std::vector<std::string>{most.substr(1), "\xc3\xa4"}));
}

void TestCapturedOutput::the_last_words_of_a_crashing_worker_are_whole() {
    ArbiterConfig group_config = config(1);
    group_config.worker = [](SeatWriter& seat, const Notify& notify) {
        if (seat.generation() > 1) return live(seat, notify);
        for (int i = 0; i < 1000; ++i)
            print("line " + std::to_string(i) + "\n");
        print("assertion failed: x > 0");
        raise(SIGKILL);
        return 0;
    };
    Running group(group_config);
    QTRY_VERIFY(group.count("worker_died") == 1);
    const std::string said = group.last_text("worker_died");
    QVERIFY2(said.ends_with("signal 9 (SIGKILL). Its last words: assertion failed: x > 0"), said.c_str());
    const QByteArray all = written();
    QCOMPARE(all.count("worker 0, generation 1: line "), 1000);
    QVERIFY(all.contains("worker 0, generation 1: assertion failed: x > 0\n"));
}

void TestCapturedOutput::a_worker_that_floods_stops_neither_itself_nor_others() {
    CommandLine commands;
    ArbiterConfig group_config = config(2);
    group_config.agent = commands.agent();
    group_config.worker = [](SeatWriter& seat, const Notify& notify) {
        if (seat.slot() == 1) {
            print("the other one\n");
            return live(seat, notify);
        }
        const std::string line(1023, 'x');
        seat.set_phase(telemetry::Phase::ready);
        notify();
        for (unsigned kibibytes = 0; kibibytes < 8192; ++kibibytes) {
            print(line + "\n");
            seat.set_connections(kibibytes);
            seat.beat();
        }
        print("done\n");
        return live(seat, notify);
    };
    Running group(group_config);
    QTRY_VERIFY(group.all_ready(2));
    QVERIFY(commands.ask({.operation = Operation::scale, .workers = 3}).outcome == Outcome::accepted);
    QTRY_VERIFY(group.all_ready(3));
    QTRY_VERIFY_WITH_TIMEOUT(written().contains("worker 0, generation 1: done\n"), 30'000);
    QVERIFY(written().contains("worker 1, generation 2: the other one\n"));
    QCOMPARE(written().count("worker 0, generation 1: xxxx"), 8192);
}

void TestCapturedOutput::a_stderr_that_nobody_reads_stops_nobody() {
    int ends[2];
    QCOMPARE(pipe2(ends, O_CLOEXEC), 0);
    const int own = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    ArbiterConfig group_config = config(1);
    group_config.output_file.clear();
    group_config.worker = [](SeatWriter& seat, const Notify& notify) {
        for (int i = 0; i < 10'000; ++i)
            print("a line that is as long as lines often are, or longer\n");
        return live(seat, notify);
    };
    std::unique_ptr<Running> group = std::make_unique<Running>(group_config);
    dup2(own, STDERR_FILENO);
    close(own);
    close(ends[1]);
    QTRY_VERIFY(group->all_ready(1));  // so it could write all of it
    QByteArray read_so_far;
    std::array<char, 65536> bytes;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const auto said = [&](const char* text) {
        for (ssize_t length; (length = read(ends[0], bytes.data(), bytes.size())) > 0;)
            read_so_far.append(bytes.data(), static_cast<int>(length));
        return read_so_far.contains(text);
    };
    said("");
    group->send(SIGTERM);
    QTRY_VERIFY(group->has_ended());
    QVERIFY(said("worker 0, generation 1: a line that is as long"));
    close(ends[0]);
}

void TestCapturedOutput::usr1_opens_the_file_again() {
    ArbiterConfig group_config = config(1);
    group_config.worker = [](SeatWriter& seat, const Notify& notify) {
        print("hello\n");
        return live(seat, notify);
    };
    Running group(group_config);
    QTRY_VERIFY(written().contains("hello"));
    QVERIFY(QFile::rename(file_, file_ + ".old"));
    group.send(SIGUSR1);
    QTRY_VERIFY(QFile::exists(file_));
    group.send(SIGHUP);
    QTRY_VERIFY(written().contains("worker 0, generation 2: hello\n"));
    QVERIFY(!written().contains("generation 1"));
}

void TestCapturedOutput::without_capture_workers_write_where_the_arbiter_does() {
    const int file = open(qPrintable(file_), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const int own = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    ArbiterConfig group_config = with_workers(1);
    group_config.worker = [](SeatWriter& seat, const Notify& notify) {
        print("hello\n");
        return live(seat, notify);
    };
    Running group(group_config);
    dup2(own, STDERR_FILENO);
    close(own);
    close(file);
    QTRY_VERIFY(written() == "hello\n");
}

QTEST_GUILESS_MAIN(TestCapturedOutput)
#include "test_captured_output.moc"
