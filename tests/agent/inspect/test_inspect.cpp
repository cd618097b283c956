// signalbox-inspect as people and scripts call it, and what it makes of segments.
#include <fcntl.h>
#include <unistd.h>

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <QtTest>
#include <cstring>
#include <optional>

#include "agent/inspect/json.hpp"
#include "agent/inspect/text.hpp"
#include "agent/telemetry/seat.hpp"
#include "tests/agent/telemetry/recorded_segment.hpp"

using namespace signalbox;
using inspect::Report;
using telemetry::SegmentView;
using tests::RecordedSegment;

namespace {

struct Outcome {
    int status = -1;
    QString out;
    QString error;
};

Outcome run(const QStringList& arguments) {
    QProcess process;
    process.start(QString::fromLocal8Bit(qgetenv("SIGNALBOX_BIN_DIR")) + "/signalbox-inspect", arguments);
    process.waitForFinished();
    return {process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1,
            QString::fromUtf8(process.readAllStandardOutput()),
            QString::fromUtf8(process.readAllStandardError())};
}

/// As of a group that is gone: no process has the pids that were recorded.
Report report_of(RecordedSegment& segment, const inspect::ReportOptions& options = {}) {
    const int descriptor = segment.segment().descriptor();
    SegmentView view(descriptor, SegmentView::Hold::copy);
    return make_report(view, inspect::Processes(descriptor), options);
}

const inspect::Figure& figure(const std::vector<inspect::Figure>& figures, const std::string& name) {
    return *std::find_if(figures.begin(), figures.end(),
                         [&](const inspect::Figure& f) { return f.instrument->name == name; });
}

}  // namespace

class TestInspect : public QObject {
    Q_OBJECT
private slots:
    void a_dead_groups_time_ends_at_its_last_sign_of_life();
    void a_segment_of_an_earlier_boot_is_read_by_its_own_clock();
    void a_wild_heartbeat_is_no_sign_of_life();
    void a_process_that_has_the_segment_mapped_is_alive();
    void figures_are_the_groups_and_each_workers();
    void a_group_that_died_while_it_folded_keeps_its_figures();
    void events_of_all_rings_are_merged_and_limited_to_the_end();
    void what_comes_from_outside_is_escaped_and_fits_the_lines();
    void json_has_the_documented_members();
    void the_program_prints_a_file_and_a_live_process();
    void verify_tells_by_its_exit_status();
    void what_cannot_be_read_is_explained_data();
    void what_cannot_be_read_is_explained();
};

void TestInspect::a_dead_groups_time_ends_at_its_last_sign_of_life() {
    RecordedSegment segment;
    const std::uint64_t end = telemetry::monotonic_ns() + 1'000'000;
    segment.segment().seat(4)->heartbeat_monotonic_ns = end;
    segment.segment().seat(0)->heartbeat_monotonic_ns = end - 700'000'000;
    const Report report = report_of(segment);
    QVERIFY(!report.alive);
    QCOMPARE(report.workers.size(), 3u);
    QCOMPARE(report.workers[0].state.state, wire::WorkerState::stalled);
    QCOMPARE(report.workers[0].state.heartbeat_age.count(), 700'000'000);
    QCOMPARE(report.workers[2].state.state, wire::WorkerState::ready);
    QCOMPARE(report.workers[2].state.heartbeat_age.count(), 0);
    QVERIFY(to_text(report).find("this group is dead; last sign of life") != std::string::npos);
}

void TestInspect::a_segment_of_an_earlier_boot_is_read_by_its_own_clock() {
    RecordedSegment segment;
    // Its machine had been up for 40 days, and it was made in 2001.
    constexpr std::int64_t kShift = 40LL * 86400 * 1'000'000'000;
    segment.segment().header().created_wall_ns = 1'000'000'000LL * 1'000'000'000;
    segment.segment().header().created_monotonic_ns += kShift;
    for (const unsigned seat : tests::kRecordedSeats) {
        segment.segment().seat(seat)->heartbeat_monotonic_ns += kShift;
        segment.segment().seat(seat)->started_monotonic_ns += kShift;
    }
    const Report report = report_of(segment);
    QCOMPARE(report.workers.size(), 3u);
    QVERIFY(report.faults.empty());
    const std::string text = to_text(report);
    QVERIFY2(text.find("last sign of life 2001-09-09T01:46:4") != std::string::npos, text.c_str());
}

void TestInspect::a_wild_heartbeat_is_no_sign_of_life() {
    RecordedSegment segment;
    segment.segment().seat(0)->heartbeat_monotonic_ns = UINT64_MAX / 3;
    const Report report = report_of(segment);
    QVERIFY(report.age() < std::chrono::minutes(10));
    QCOMPARE(report.workers.size(), 2u);
    QCOMPARE(report.faults.size(), 1u);
    QVERIFY(to_text(report).find("seat 0: its heartbeat is in the future") != std::string::npos);
}

void TestInspect::a_process_that_has_the_segment_mapped_is_alive() {
    RecordedSegment segment;
    segment.segment().seat(2)->pid = static_cast<std::uint32_t>(::getpid());
    segment.segment().seat(4)->pid = 1;  // alive, but of another kind
    const Report report = report_of(segment);
    QVERIFY(report.alive);
    QVERIFY(!report.workers[0].alive);
    QVERIFY(report.workers[1].alive);
    QVERIFY(!report.workers[2].alive);
    QVERIFY(!report.arbiter.alive);
}

void TestInspect::figures_are_the_groups_and_each_workers() {
    RecordedSegment segment;
    const Report report = report_of(segment, {.workers = true});
    const auto total = [](const std::vector<inspect::Figure>& figures) {
        return std::get<std::uint64_t>(figure(figures, "letters_total").value);
    };
    const std::uint64_t living = tests::letters_of(0) + tests::letters_of(2) + tests::letters_of(4);
    QCOMPARE(total(report.figures), living + tests::kDepartedLetters);
    QCOMPARE(total(report.workers[1].figures), tests::letters_of(2));
    QCOMPARE(std::get<wire::GaugeValue>(figure(report.figures, "letters_waiting").value).value,
             0.5 + 2.5 + 4.5);
    const auto& sizes = std::get<sketch::ExponentialHistogram>(figure(report.figures, "letter_bytes").value);
    QCOMPARE(sizes.count(), 4u * 201);
    QCOMPARE(*sizes.max(), 19900.0);
}

void TestInspect::a_group_that_died_while_it_folded_keeps_its_figures() {
    RecordedSegment segment;
    segment.segment().header().fold_sequence |= 1;
    const Report report = report_of(segment);
    QVERIFY(std::get<std::uint64_t>(figure(report.figures, "letters_total").value) > 9000);
}

void TestInspect::events_of_all_rings_are_merged_and_limited_to_the_end() {
    RecordedSegment segment;
    const std::uint64_t now = telemetry::monotonic_ns();
    segment.segment().seat_ring(0).append(now - 1'000'000, 1, 2, wire::Severity::info, "earlier", "");
    segment.segment().seat_ring(4).append(now, 2, 3, wire::Severity::error, "last", "words");
    const Report all = report_of(segment, {.events = std::nullopt});
    QVERIFY(all.events.size() > 3 * 250);
    QCOMPARE(all.events.back().event.name, std::string("last"));
    QCOMPARE(*all.events.back().slot, 2u);
    for (std::size_t i = 1; i < all.events.size(); ++i)
        QVERIFY(all.events[i - 1].event.monotonic_ns <= all.events[i].event.monotonic_ns);
    const Report last = report_of(segment, {.events = std::chrono::nanoseconds(0)});
    QCOMPARE(last.events.size(), 1u);
}

void TestInspect::what_comes_from_outside_is_escaped_and_fits_the_lines() {
    RecordedSegment segment;
    telemetry::SeatWriter seat(segment.segment(), 2);
    seat.begin_activity("GET /\x1b[2J\xff" + std::string(100, '\x01'));
    seat.log(wire::Severity::warning, "odd\nname", "列車" + std::string(180, '\x7f'));
    const Report report = report_of(segment);
    const QString text = QString::fromStdString(to_text(report));
    QVERIFY(text.contains("GET /\\x1b[2J\\xff\\x01"));
    QVERIFY(text.simplified().contains("odd\\nname: 列車"));
    for (const QString& line : text.split('\n')) {
        QVERIFY2(line.size() <= 100, qPrintable(line));
        for (const QChar c : line)
            QVERIFY(c.isPrint());
    }
}

void TestInspect::json_has_the_documented_members() {
    RecordedSegment segment;
    const auto json = to_json(report_of(segment, {.workers = true}));
    for (const auto& figure : json.at("figures")) {
        if (figure.at("kind") != "distribution" || figure.at("count") == 0) continue;
        QVERIFY(figure.at("max_time").is_string());
        QVERIFY(!figure.at("last_samples").empty());
        QCOMPARE(figure.at("exponential_averages").size(), 6u);
        QVERIFY(figure.at("standard_deviation").is_number());
    }
    for (const char* name :
         {"group", "boot_id", "layout_version", "alive", "created", "end", "age_seconds", "target_workers",
          "degraded", "arbiter", "agent", "listeners", "workers", "figures", "events", "faults"})
        QVERIFY2(json.contains(name), name);
    for (const char* name : {"slot", "generation", "pid", "alive", "state", "started",
                             "heartbeat_age_seconds", "requests", "connections", "open_files",
                             "resident_bytes", "activity", "activity_age_seconds", "queues", "figures"})
        QVERIFY2(json["workers"][1].contains(name), name);
    QCOMPARE(json["workers"][1]["activity"], "POST /classify from 192.0.2.2");
    const auto& sizes = json["figures"][3];
    QCOMPARE(sizes["name"], "letter_bytes");
    for (const char* name :
         {"count", "rate_per_second", "sum", "mean", "min", "max", "p50", "p90", "p99", "p999"})
        QVERIFY2(sizes[name].is_number(), name);
    QCOMPARE(json["figures"][0]["labels"]["verdict"], "ham");
    QVERIFY(json["events"].back()["seconds_before_end"].is_number());
}

void TestInspect::the_program_prints_a_file_and_a_live_process() {
    QTemporaryDir directory;
    const QString path = directory.filePath("recorded.segment");
    RecordedSegment segment(path.toStdString());
    const Outcome text = run({path, "--workers", "--events", "all"});
    QCOMPARE(text.status, 0);
    QVERIFY(text.out.startsWith("recorded: this group is dead"));
    QVERIFY(text.out.contains("== slot 1, generation 3, pid 4102 =="));

    // This process has it open; anonymous memory would be found likewise.
    const Outcome json = run({"--json", "--pid", QString::number(::getpid())});
    QVERIFY2(json.status == 0, qPrintable(json.error));
    QCOMPARE(QJsonDocument::fromJson(json.out.toUtf8()).object()["workers"].toArray().size(), 3);
}

void TestInspect::verify_tells_by_its_exit_status() {
    QTemporaryDir directory;
    const QString path = directory.filePath("recorded.segment");
    RecordedSegment segment(path.toStdString());
    const Outcome clean = run({"--verify", path});
    QVERIFY2(clean.status == 0, qPrintable(clean.out + clean.error));
    segment.segment().seat(2)->phase = 77;
    segment.segment().group().target_workers = 99;
    const Outcome damaged = run({"--verify", path});
    QCOMPARE(damaged.status, 1);
    QCOMPARE(damaged.out,
             QString("seat 2: its phase is 77\ngroup: 99 workers are wanted, there are 3 slots\n"));
}

void TestInspect::what_cannot_be_read_is_explained_data() {
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<QString>("expected");
    QTest::newRow("missing") << QStringList{"/nonexistent"}
                             << "/nonexistent: No such file or directory; give the path";
    QTest::newRow("directory") << QStringList{"/tmp"} << "/tmp: not a segment: it is not a regular file";
    QTest::newRow("device") << QStringList{"/dev/zero"}
                            << "/dev/zero: not a segment: it is not a regular file";
    QTest::newRow("text") << QStringList{"DIRECTORY/text"} << "text: not a segment: shorter than a header";
    QTest::newRow("other file") << QStringList{"DIRECTORY/other"}
                                << "other: not a segment: it does not start with SIGNLBOX";
    QTest::newRow("newer") << QStringList{"DIRECTORY/newer"}
                           << "newer: needs Signalbox that reads layout version 99; this one reads up to";
    QTest::newRow("truncated") << QStringList{"DIRECTORY/truncated", "--verify"}
                               << "truncated: the segment is cut short";
    QTest::newRow("no process") << QStringList{"--pid", "4194303"}
                                << "process 4194303: there is no such process";
    QTest::newRow("other process") << QStringList{"--pid", QString::number(::getpid())}
                                   << "it has no segment open";
    QTest::newRow("nothing") << QStringList{} << "give its FILE, or --pid";
    QTest::newRow("both") << QStringList{"x", "--pid", "1"} << "excludes";
    QTest::newRow("span") << QStringList{"x", "--events", "soon"} << "'soon' is not a number of seconds";
}

void TestInspect::what_cannot_be_read_is_explained() {
    QFETCH(QStringList, arguments);
    QFETCH(QString, expected);
    QTemporaryDir directory;
    const auto write = [&](const char* name, const QByteArray& bytes) {
        QFile file(directory.filePath(name));
        QVERIFY(file.open(QFile::WriteOnly));
        file.write(bytes);
    };
    write("text", "hello");
    write("other", QByteArray(10000, 'x'));
    QByteArray whole;
    {
        RecordedSegment segment(directory.filePath("whole").toStdString());
        whole = QByteArray(reinterpret_cast<const char*>(segment.bytes()),
                           static_cast<qsizetype>(segment.size()));
    }
    write("truncated", whole.left(whole.size() / 2));
    whole[8] = 99;
    write("newer", whole);
    for (QString& argument : arguments)
        argument.replace("DIRECTORY", directory.path());
    const Outcome outcome = run(arguments);
    QCOMPARE(outcome.status, 2);
    QVERIFY2(outcome.error.contains(expected), qPrintable(outcome.error));
}

QTEST_GUILESS_MAIN(TestInspect)
#include "test_inspect.moc"
