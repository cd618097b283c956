// What the agent tells besides the rings: that a part of the segment is damaged.
#include <QTest>

#include "agent/service/event_log.hpp"
#include "tests/agent/service/fake_group.hpp"

using namespace signalbox;

class TestEventLog : public QObject {
    Q_OBJECT
private slots:
    void a_damaged_seat_is_told_once();
};

void TestEventLog::a_damaged_seat_is_told_once() {
    FakeGroup group;
    group.start_worker(0);
    group.start_worker(2);
    group.seat(2).phase.store(77);
    const telemetry::SegmentView view(group.segment().descriptor());
    service::EventLog log(view);
    const wire::Events first = log.poll();
    QCOMPARE(first.events.size(), 1u);
    QCOMPARE(first.events[0].name, std::string("segment_damaged"));
    QCOMPARE(first.events[0].severity, wire::Severity::error);
    QCOMPARE(first.events[0].text, std::string("Left out of all figures: seat 2: its phase is 77."));
    group.seat(0).phase.store(78);
    const auto told = [&log] {
        log.poll();
        return log.retained().size();
    };
    QTRY_COMPARE(told(), 2u);
    QVERIFY(log.retained().back().text.find("seat 0") != std::string::npos);
}

QTEST_GUILESS_MAIN(TestEventLog)
#include "test_event_log.moc"
