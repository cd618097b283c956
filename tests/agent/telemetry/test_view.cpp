// A reader believes nothing: damaged segments are refused or read within bounds.
#include <QTemporaryDir>
#include <QtTest>
#include <fstream>
#include <random>

#include "agent/telemetry/seat.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;

Q_DECLARE_METATYPE(std::function<void(Header&)>)

class TestView : public QObject {
    Q_OBJECT
private slots:
    void a_segment_file_is_opened_by_path();
    void what_is_no_segment_is_refused_data();
    void what_is_no_segment_is_refused();
    void a_worker_is_shown_with_what_it_is_at();
    void a_silent_worker_is_stalled();
    void queues_never_show_a_negative_depth();
    void random_damage_never_leads_astray();
};

void TestView::a_segment_file_is_opened_by_path() {
    QTemporaryDir directory;
    const std::string path = directory.filePath("segment").toStdString();
    Telemetry telemetry({.group = "mailroom", .max_workers = 3, .path = path});
    SegmentView view(path);
    QCOMPARE(view.group_name(), std::string("mailroom"));
    QCOMPARE(view.boot_id().size(), 32u);
    QCOMPARE(view.geometry().seat_count, 7u);
    QVERIFY_EXCEPTION_THROWN(Telemetry({.group = "x", .max_workers = 1, .path = "/nonexistent/segment"}),
                             std::system_error);
    QVERIFY_EXCEPTION_THROWN(Telemetry({.group = "", .max_workers = 1}), std::invalid_argument);
    QVERIFY_EXCEPTION_THROWN(Telemetry({.group = "x", .max_workers = 5000}), std::invalid_argument);
}

void TestView::what_is_no_segment_is_refused_data() {
    QTest::addColumn<std::function<void(Header&)>>("damage");
    QTest::addColumn<QString>("expected");
    const auto row = [](const char* name, const char* expected, std::function<void(Header&)> damage) {
        QTest::newRow(name) << damage << QString(expected);
    };
    row("magic", "not a segment", [](Header& h) { h.magic[3] = 'X'; });
    row("version", "layout version 99", [](Header& h) { h.layout_version = 99; });
    row("seats", "geometry", [](Header& h) { h.geometry.seat_count = 1000; });
    row("no slots", "geometry", [](Header& h) {
        h.geometry.slot_count = 0;
        h.geometry.seat_count = 1;
    });
    row("directory beyond the end", "geometry",
        [](Header& h) { h.geometry.directory_offset = h.geometry.total_bytes; });
    row("wrapping offset", "geometry", [](Header& h) { h.geometry.seats_offset = UINT64_MAX - 4095; });
    row("larger than the file", "geometry", [](Header& h) { h.geometry.total_bytes *= 2; });
    row("odd lanes", "geometry", [](Header& h) { h.geometry.lane_bytes += 1; });
    row("tiny stride", "geometry", [](Header& h) { h.geometry.seat_stride = 4096; });
    row("actions outside the seat", "geometry",
        [](Header& h) { h.geometry.seat_actions_offset = h.geometry.seat_stride - kPage; });
    row("lanes outside the seat", "geometry",
        [](Header& h) { h.geometry.seat_lanes_offset = h.geometry.seat_stride; });
}

void TestView::what_is_no_segment_is_refused() {
    QFETCH(std::function<void(Header&)>, damage);
    QFETCH(QString, expected);
    Telemetry telemetry({.group = "test", .max_workers = 1});
    damage(telemetry.segment().header());
    try {
        SegmentView view(telemetry.segment().descriptor());
        QFAIL("accepted");
    } catch (const SegmentError& error) {
        QVERIFY2(QString(error.what()).contains(expected), error.what());
    }
}

void TestView::a_worker_is_shown_with_what_it_is_at() {
    Telemetry telemetry({.group = "test", .max_workers = 2});
    tests::occupy(telemetry, 2, 9, 1234);
    SeatWriter seat(telemetry.segment(), 2);
    seat.beat();
    seat.count_request();
    seat.set_connections(5);
    SegmentView view(telemetry.segment().descriptor());
    {
        const auto at = seat.activity("POST /classify from 127.0.0.1:99");
        const auto workers = view.workers();
        QCOMPARE(workers.size(), 1u);
        QCOMPARE(workers[0].slot, 1u);
        QCOMPARE(workers[0].generation, 9u);
        QCOMPARE(workers[0].pid, 1234u);
        QCOMPARE(workers[0].state, wire::WorkerState::ready);
        QCOMPARE(workers[0].requests, 1u);
        QCOMPARE(workers[0].connections, 5u);
        QCOMPARE(workers[0].activity, std::string("POST /classify from 127.0.0.1:99"));
    }
    QVERIFY(view.workers()[0].activity.empty());
    const auto at = seat.activity(std::string(500, 'x'));
    QCOMPARE(view.workers()[0].activity.size(), 112u);
}

void TestView::a_silent_worker_is_stalled() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    tests::occupy(telemetry, 0, 1);
    SeatWriter seat(telemetry.segment(), 0);
    seat.beat(monotonic_ns() - 600'000'000);
    SegmentView view(telemetry.segment().descriptor());
    QCOMPARE(view.workers()[0].state, wire::WorkerState::stalled);
    QVERIFY(view.workers()[0].heartbeat_age >= std::chrono::milliseconds(600));
    seat.beat();
    QCOMPARE(view.workers()[0].state, wire::WorkerState::ready);
}

void TestView::queues_never_show_a_negative_depth() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    tests::occupy(telemetry, 0, 1);
    SeatWriter seat(telemetry.segment(), 0);
    QueueRecord& queue = seat.queue(3);
    queue.capacity = 64;
    queue.pushed = 10;
    queue.popped = 11;  // a lie
    SegmentView view(telemetry.segment().descriptor());
    const auto queues = view.workers()[0].queues;
    QCOMPARE(queues.size(), 1u);
    QCOMPARE(queues[0].listener, 3u);
    QVERIFY(queues[0].depth <= 64);
}

void TestView::random_damage_never_leads_astray() {
    std::mt19937_64 random(11);
    for (int round = 0; round < 60; ++round) {
        Telemetry telemetry({.group = "test", .max_workers = 2, .instruments = 8, .distributions = 4});
        tests::occupy(telemetry, 0, 1);
        telemetry.attach(0);
        Counter counter(telemetry, "letters_total", "");
        Distribution sizes(telemetry, "letter_bytes", "", "bytes");
        SeatWriter seat(telemetry.segment(), 0);
        seat.log(wire::Severity::info, "hello", "world");
        seat.log(wire::Severity::debug, "psst", "world");
        SegmentView view(telemetry.segment().descriptor());
        for (std::uint64_t i = 1; i < 500; ++i) {
            counter.add();
            sizes.record(i);
        }
        // Anything but the geometry, which the view has copied: header words, entries, seats, cells.
        auto* base = reinterpret_cast<unsigned char*>(&telemetry.segment().header());
        std::uniform_int_distribution<std::uint64_t> anywhere(0,
                                                              telemetry.segment().geometry().total_bytes - 1);
        for (int i = 0; i < 2000; ++i) {
            const std::uint64_t at = i % 2 == 0 ? anywhere(random) : anywhere(random) % 65536;
            base[at] = static_cast<unsigned char>(random());
        }
        Collector collector(view);
        collector.new_instruments();
        collector.collect();
        collector.absolute();
        view.workers();
        view.listeners();
        std::vector<RawEvent> events;
        std::uint64_t next = 0;
        view.read_seat_events(0, next, events);
        next = 0;
        view.read_group_events(next, events);
        next = 0;
        view.read_seat_actions(0, next, events);
        QVERIFY(events.size() <= 2 * kEventRingRecords + kActionRingRecords);
    }
}

QTEST_GUILESS_MAIN(TestView)
#include "test_view.moc"
