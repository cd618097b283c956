// verify() finds what is wrong with a segment, and nothing where nothing is.
#include <QtTest>
#include <cstring>

#include "agent/telemetry/retire.hpp"
#include "agent/telemetry/running_sum.hpp"
#include "agent/telemetry/verify.hpp"
#include "tests/agent/telemetry/recorded_segment.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;
using tests::RecordedSegment;
using DamageFunction = std::function<void(Segment&)>;

Q_DECLARE_METATYPE(DamageFunction)

namespace {

detail::DistributionHead& head_of(Segment& segment, unsigned seat, unsigned entry) {
    return *reinterpret_cast<detail::DistributionHead*>(segment.lane(seat, 0) +
                                                        segment.entry(entry).head_offset);
}

detail::DistributionBuckets& buckets_of(Segment& segment, unsigned seat, unsigned entry) {
    return *reinterpret_cast<detail::DistributionBuckets*>(segment.lane(seat, 0) +
                                                           segment.entry(entry).buckets_offset);
}

}  // namespace

class TestVerify : public QObject {
    Q_OBJECT
private slots:
    void a_segment_in_use_has_no_violation();
    void a_record_cut_off_by_death_is_no_violation();
    void each_violation_is_found_data();
    void each_violation_is_found();
};

void TestVerify::a_segment_in_use_has_no_violation() {
    RecordedSegment segment;
    const SegmentView view(segment.segment().descriptor());
    for (const Writers writers : {Writers::gone, Writers::busy}) {
        const auto violations = verify(view, writers);
        QVERIFY2(violations.empty(), violations.empty() ? "" : violations[0].c_str());
    }
}

void TestVerify::a_record_cut_off_by_death_is_no_violation() {
    RecordedSegment segment;
    detail::DistributionHead& head = head_of(segment.segment(), 2, 3);
    detail::add_alone(head.running_sum, 1'000'000'000);  // the sum comes first …
    segment.segment().seat(2)->activity.sequence |= 1;   // … an activity is half-written …
    EventRecord* ring =
        reinterpret_cast<EventRecord*>(segment.bytes() + segment.segment().geometry().group_ring_offset);
    ring[1].sequence = 3;  // … and so is an event
    segment.segment().group().ring_head = 2;
    const SegmentView view(segment.segment().descriptor());
    const auto violations = verify(view, Writers::gone);
    QVERIFY2(violations.empty(), violations.empty() ? "" : violations[0].c_str());
}

void TestVerify::each_violation_is_found_data() {
    QTest::addColumn<DamageFunction>("damage");
    QTest::addColumn<QString>("expected");
    const auto row = [](const char* expected, DamageFunction damage) {
        QTest::newRow(expected) << damage << QString(expected);
    };
    row("header: the geometry has changed", [](Segment& s) { s.header().geometry.slot_count = 2; });
    row("header: the group's name is not UTF-8", [](Segment& s) { s.header().group_name[0] = '\xff'; });
    row("header: the boot id is zero", [](Segment& s) { std::memset(s.header().boot_id, 0, 16); });
    row("header: the time of creation is missing", [](Segment& s) { s.header().created_wall_ns = 0; });
    row("bytes of heads are taken", [](Segment& s) { s.header().heads_taken = 1u << 30; });
    row("bytes of buckets are taken", [](Segment& s) { s.header().buckets_taken = 1u << 30; });
    row("setting 3: it is taken behind a vacant one", [](Segment& s) { s.setting(3).state = 1; });
    row("setting 0: its state is none", [](Segment& s) { s.setting(0).state = 10; });
    row("setting 0: its name, kind, type, role or range", [](Segment& s) { s.setting(0).kind = 9; });
    row("setting 1: its value is out of its range", [](Segment& s) { s.setting(1).word = 1; });
    row("setting 1: an earlier one has its name",
        [](Segment& s) { std::strcpy(s.setting(1).name, "listen"); });
    row("setting 0: its value or origin is not UTF-8", [](Segment& s) { s.setting(0).text[0] = 0xff; });
    row("the last seat that was retired is", [](Segment& s) {
        s.header().retired = RetiredWord{0, 99, 1}.pack();
    });
    row("header: generation 9 was retired", [](Segment& s) {
        s.header().retired = RetiredWord{0, 2, 9}.pack();
    });
    row("it makes no sense", [](Segment& s) { s.entry(1).kind = 77; });
    row("its cells are another instrument's",
        [](Segment& s) { s.entry(3).buckets_offset = s.entry(2).buckets_offset; });
    row("an earlier entry is the same instrument",
        [](Segment& s) { std::memcpy(s.entry(3).name, s.entry(2).name, sizeof s.entry(3).name); });
    row("an earlier entry of its name is of another kind",
        [](Segment& s) { std::memcpy(s.entry(1).name, s.entry(0).name, sizeof s.entry(1).name); });
    row("the name of a counter does not end in _total", [](Segment& s) { s.entry(0).name[3] = '\0'; });
    row("its cell lies beyond those that are taken", [](Segment& s) { s.entry(0).head_offset = 4000; });
    row("it is taken, though entry 7 is vacant", [](Segment& s) { s.entry(9).state = 2; });
    row("group: no process has the pid", [](Segment& s) { s.group().arbiter_pid = 1u << 30; });
    row("group: 50 workers are wanted", [](Segment& s) { s.group().target_workers = 50; });
    row("listener 0: its port is 99999", [](Segment& s) { s.group().listeners[0].port = 99999; });
    row("seat 2: its phase is 9", [](Segment& s) { s.seat(2)->phase = 9; });
    row("seat 2: it says that it is of slot 5", [](Segment& s) { s.seat(2)->slot = 5; });
    row("seat 2: its heartbeat is in the future",
        [](Segment& s) { s.seat(2)->heartbeat_monotonic_ns = UINT64_MAX; });
    row("seat 2: its generation is 0", [](Segment& s) { s.seat(2)->generation = 0; });
    row("its generation is 99, the group's newest 4", [](Segment& s) { s.seat(2)->generation = 99; });
    row("seat 4: it has the pid of seat 2", [](Segment& s) { s.seat(4)->pid = s.seat(2)->pid.load(); });
    row("seat 4: it has the generation of seat 2",
        [](Segment& s) { s.seat(4)->generation = s.seat(2)->generation.load(); });
    row("its activity has 500 bytes", [](Segment& s) { s.seat(2)->activity.length = 500; });
    row("more has left its accept queue 0", [](Segment& s) { s.seat(2)->queues[0].popped = 11; });
    row("seat 2's events: record 0 has the sequence number 8", [](Segment& s) {
        const std::uint64_t at = s.offset_of(s.seat(2)) + s.geometry().seat_ring_offset;
        reinterpret_cast<EventRecord*>(reinterpret_cast<std::byte*>(&s.header()) + at)->sequence = 8;
    });
    row("has the sequence number", [](Segment& s) { s.seat(2)->ring_head = 1; });
    row("its minimum", [](Segment& s) { head_of(s, 2, 3).inverted_min = ~std::uint64_t{1'000'000'000}; });
    row("its carrying word is", [](Segment& s) { head_of(s, 2, 3).carrying = 7; });
    row("its sum is less than", [](Segment& s) { store_sum(head_of(s, 2, 3), 3); });
    row("it has a sum, but counts nothing", [](Segment& s) {
        s.seat(1)->lanes_touched = 1;
        head_of(s, 1, 3).base_high[0] = 1000;
    });
    row("a record waits for bucket 9000", [](Segment& s) { head_of(s, 2, 3).pending = 9000; });
    row("lies outside its extremes", [](Segment& s) { buckets_of(s, 2, 3).counts[1] = 2 << 1; });
    row("its head knows of none", [](Segment& s) { buckets_of(s, 2, 3).carries[4000] = 1; });
    row("seat 1's lane 2: no thread has had it", [](Segment& s) { *s.lane(1, 2) = std::byte{1}; });
    row("it uses lanes beyond its 3", [](Segment& s) { s.seat(2)->lanes_claimed = 8; });
    row("there are cells beyond those that are taken",
        [](Segment& s) { *(s.lane(2, 0) + 800) = std::byte{1}; });
}

void TestVerify::each_violation_is_found() {
    QFETCH(DamageFunction, damage);
    QFETCH(QString, expected);
    RecordedSegment segment;
    const SegmentView view(segment.segment().descriptor());
    damage(segment.segment());
    QString found;
    for (const std::string& violation : verify(view, Writers::gone))
        found += QString::fromStdString(violation) + '\n';
    QVERIFY2(found.contains(expected), qPrintable("found only: " + found));
}

QTEST_GUILESS_MAIN(TestVerify)
#include "test_verify.moc"
