// Events survive whoever wrote them, and a torn one is skipped.
#include <QtTest>
#include <thread>

#include "agent/telemetry/event_ring.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;

class TestEventRing : public QObject {
    Q_OBJECT
private slots:
    void init() {
        records_ = std::vector<EventRecord>(kEventRingRecords);
        head_ = 0;
    }
    void what_is_appended_is_read_once();
    void long_texts_are_cut_at_a_character();
    void an_overrun_reader_learns_how_much_it_lost();
    void a_half_written_record_is_waited_for_and_then_skipped();
    void many_threads_lose_nothing_within_the_ring();
    void hostile_sizes_are_bounded();

private:
    EventRing ring() { return {records_.data(), head_}; }
    std::uint64_t read(std::vector<RawEvent>& out, bool gone = false) {
        return read_events(records_.data(), head_, next_ = from_, out, gone);
    }
    std::vector<EventRecord> records_;
    AtomicWord head_{0};
    std::uint64_t from_ = 0;
    std::uint64_t next_ = 0;
};

void TestEventRing::what_is_appended_is_read_once() {
    ring().append(5, 17, 3, wire::Severity::warning, "long_spin", "212 ms");
    std::vector<RawEvent> out;
    std::uint64_t next = 0;
    QCOMPARE(read_events(records_.data(), head_, next, out), 0u);
    QCOMPARE(out.size(), 1u);
    QCOMPARE(out[0].name, std::string("long_spin"));
    QCOMPARE(out[0].text, std::string("212 ms"));
    QCOMPARE(out[0].pid, 17u);
    QCOMPARE(out[0].generation, 3u);
    QCOMPARE(out[0].severity, wire::Severity::warning);
    read_events(records_.data(), head_, next, out);
    QCOMPARE(out.size(), 1u);
}

void TestEventRing::long_texts_are_cut_at_a_character() {
    std::string text(217, 'x');
    text += "\u00e4\u00e4\u00e4";  // name (5) + 217 = 222: one two-byte letter fits
    ring().append(0, 1, 1, wire::Severity::info, "event", text);
    std::vector<RawEvent> out;
    read(out);
    QCOMPARE(out.at(0).text, text.substr(0, 219));
}

void TestEventRing::an_overrun_reader_learns_how_much_it_lost() {
    for (int i = 0; i < 1000; ++i)
        ring().append(0, 1, 1, wire::Severity::info, "event", std::to_string(i));
    std::vector<RawEvent> out;
    QCOMPARE(read(out), 1000u - kEventRingRecords);
    QCOMPARE(out.size(), std::size_t{kEventRingRecords});
    QCOMPARE(out.back().text, std::string("999"));
}

void TestEventRing::a_half_written_record_is_waited_for_and_then_skipped() {
    ring().append(0, 1, 1, wire::Severity::info, "event", "whole");
    const std::uint64_t torn = head_.fetch_add(1);
    records_[torn % kEventRingRecords].sequence.store(2 * torn + 1);
    ring().append(0, 1, 1, wire::Severity::info, "event", "behind it");
    std::vector<RawEvent> out;
    std::uint64_t next = 0;
    read_events(records_.data(), head_, next, out);
    QCOMPARE(out.size(), 1u);
    QCOMPARE(next, 1u);
    read_events(records_.data(), head_, next, out, true);
    QCOMPARE(out.size(), 2u);
    QCOMPARE(out.back().text, std::string("behind it"));
}

void TestEventRing::many_threads_lose_nothing_within_the_ring() {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([this, t] {
            for (int i = 0; i < 50; ++i)
                ring().append(0, static_cast<std::uint32_t>(t), 1, wire::Severity::info, "event",
                              std::to_string(i));
        });
    std::vector<RawEvent> out;
    std::uint64_t next = 0;
    std::uint64_t lost = 0;
    for (int i = 0; i < 50; ++i)
        lost += read_events(records_.data(), head_, next, out);
    for (auto& thread : threads)
        thread.join();
    lost += read_events(records_.data(), head_, next, out);
    QCOMPARE(lost, 0u);
    QCOMPARE(out.size(), 200u);
    std::array<int, 4> expected{};
    for (const RawEvent& event : out)
        QCOMPARE(event.text, std::to_string(expected.at(event.pid)++));
}

void TestEventRing::hostile_sizes_are_bounded() {
    ring().append(0, 1, 1, wire::Severity::info, "event", "text");
    records_[0].severity_and_sizes.store(UINT32_MAX);
    std::vector<RawEvent> out;
    read(out);
    QCOMPARE(out.size(), 1u);
    QCOMPARE(out[0].name.size() + out[0].text.size(), sizeof(EventRecord::bytes));
    head_.store(UINT64_MAX);
    out.clear();
    read(out);
    QVERIFY(out.size() <= kEventRingRecords);
}

QTEST_GUILESS_MAIN(TestEventRing)
#include "test_event_ring.moc"
