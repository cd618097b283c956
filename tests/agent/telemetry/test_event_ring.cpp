// Events survive whoever wrote them, and a torn one is skipped.
#include <QtTest>
#include <random>
#include <thread>

#include "agent/telemetry/event_ring.hpp"
#include "agent/telemetry/fields.hpp"

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
    void fields_keep_their_types();
    void a_field_set_again_is_replaced();
    void fields_that_do_not_fit_are_left_out_whole();
    void a_long_text_leaves_room_for_fields();
    void records_of_random_bytes_are_read_within_bounds();
    void chatter_is_what_begins_and_succeeds_and_debug();

private:
    EventRing ring() { return {records_.data(), kEventRingRecords, head_}; }
    EventRingView view() const { return {records_.data(), kEventRingRecords, head_}; }
    std::uint64_t read(std::vector<RawEvent>& out, bool gone = false) {
        return read_events(view(), next_ = from_, out, gone);
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
    QCOMPARE(read_events(view(), next, out), 0u);
    QCOMPARE(out.size(), 1u);
    QCOMPARE(out[0].name, std::string("long_spin"));
    QCOMPARE(out[0].text, std::string("212 ms"));
    QCOMPARE(out[0].pid, 17u);
    QCOMPARE(out[0].generation, 3u);
    QCOMPARE(out[0].severity, wire::Severity::warning);
    read_events(view(), next, out);
    QCOMPARE(out.size(), 1u);
}

void TestEventRing::long_texts_are_cut_at_a_character() {
    std::string text(329, 'x');
    text += "\u00e4\u00e4\u00e4";  // name (5) + 329 = 334: one two-byte letter fits
    ring().append(0, 1, 1, wire::Severity::info, "event", text);
    std::vector<RawEvent> out;
    read(out);
    QCOMPARE(out.at(0).text, text.substr(0, 331));
    QVERIFY(out.at(0).cut);
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
    read_events(view(), next, out);
    QCOMPARE(out.size(), 1u);
    QCOMPARE(next, 1u);
    read_events(view(), next, out, true);
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
        lost += read_events(view(), next, out);
    for (auto& thread : threads)
        thread.join();
    lost += read_events(view(), next, out);
    QCOMPARE(lost, 0u);
    QCOMPARE(out.size(), 200u);
    std::array<int, 4> expected{};
    for (const RawEvent& event : out)
        QCOMPARE(event.text, std::to_string(expected.at(event.pid)++));
}

void TestEventRing::hostile_sizes_are_bounded() {
    ring().append(0, 1, 1, wire::Severity::info, "event", "text");
    records_[0].nature.store(UINT32_MAX);
    records_[0].sizes.store(UINT32_MAX);
    std::vector<RawEvent> out;
    read(out);
    QCOMPARE(out.size(), 1u);
    QCOMPARE(out[0].name.size() + out[0].text.size(), sizeof(EventRecord::bytes));
    head_.store(UINT64_MAX);
    out.clear();
    read(out);
    QVERIFY(out.size() <= kEventRingRecords);
}

void TestEventRing::fields_keep_their_types() {
    const detail::FieldBuffer fields({{"text", "a b"},
                                      {"empty", ""},
                                      {"least", INT64_MIN},
                                      {"most", INT64_MAX},
                                      {"beyond", UINT64_MAX},
                                      {"letter", 'A'},
                                      {"real", -12.5},
                                      {"yes", true},
                                      {"no", false},
                                      {"nothing", static_cast<const char*>(nullptr)}});
    NewEvent event{.monotonic_ns = 7, .name = "charge", .text = "declined", .fields = fields.bytes()};
    event.kind = wire::EventKind::failure;
    event.action = 12;
    event.duration_ns = 12'300'000;
    ring().append(event);
    std::vector<RawEvent> out;
    read(out);
    QCOMPARE(out.size(), 1u);
    QCOMPARE(out[0].kind, wire::EventKind::failure);
    QCOMPARE(out[0].action, 12u);
    QCOMPARE(out[0].duration_ns, 12'300'000u);
    QVERIFY(!out[0].cut);
    const std::vector<wire::Field> expected = {{"text", std::string("a b")},
                                               {"empty", std::string()},
                                               {"least", INT64_MIN},
                                               {"most", INT64_MAX},
                                               {"beyond", 0x1p64},
                                               {"letter", std::int64_t{65}},
                                               {"real", -12.5},
                                               {"yes", true},
                                               {"no", false},
                                               {"nothing", std::string()}};
    QVERIFY(out[0].fields == expected);
}

void TestEventRing::a_field_set_again_is_replaced() {
    detail::FieldBuffer fields({{"a", 1}, {"b", "old"}, {"c", 3}});
    fields.set({"b", 2.5});
    fields.set({"d", true});
    const std::vector<wire::Field> expected = {
        {"a", std::int64_t{1}}, {"c", std::int64_t{3}}, {"b", 2.5}, {"d", true}};
    QVERIFY(read_fields(fields.bytes()) == expected);
    QVERIFY(!fields.cut());
}

void TestEventRing::fields_that_do_not_fit_are_left_out_whole() {
    detail::FieldBuffer fields;
    for (int i = 0; i < 10; ++i)
        fields.add({"field", std::string(93, 'x')});  // 100 bytes each: 5 fit the buffer, 3 the record
    QVERIFY(fields.cut());
    QCOMPARE(read_fields(fields.bytes()).size(), 5u);
    ring().append({.name = "event", .fields = fields.bytes(), .cut = fields.cut()});
    std::vector<RawEvent> out;
    read(out);
    QCOMPARE(out.at(0).fields.size(), 3u);
    QCOMPARE(std::get<std::string>(out.at(0).fields.back().value), std::string(93, 'x'));
    QVERIFY(out.at(0).cut);

    detail::FieldBuffer wide({{std::string(100, 'n'), std::string(300, 'v')}});
    QVERIFY(wide.cut());
    QCOMPARE(read_fields(wide.bytes()).at(0).name, std::string(64, 'n'));
    QCOMPARE(std::get<std::string>(read_fields(wide.bytes()).at(0).value), std::string(255, 'v'));
}

void TestEventRing::a_long_text_leaves_room_for_fields() {
    const detail::FieldBuffer fields({{"customer", "c17"}, {"amount", 12.5}});
    ring().append({.name = "charge", .text = std::string(1000, 't'), .fields = fields.bytes()});
    std::vector<RawEvent> out;
    read(out);
    QCOMPARE(out.at(0).fields.size(), 2u);
    QCOMPARE(out.at(0).text.size(), sizeof(EventRecord::bytes) - 6 - fields.bytes().size());
    QVERIFY(out.at(0).cut);
}

void TestEventRing::records_of_random_bytes_are_read_within_bounds() {
    std::mt19937_64 random(20);
    for (int round = 0; round < 2000; ++round) {
        const detail::FieldBuffer fields({{"customer", "c17"}, {"amount", 12.5}, {"tries", round}});
        ring().append({.name = "charge", .text = "declined", .fields = fields.bytes()});
        const std::uint64_t number = head_ - 1;
        EventRecord& record = records_[number % kEventRingRecords];
        auto* bytes = reinterpret_cast<unsigned char*>(&record);
        const bool all = round % 2 == 0;
        for (std::size_t i = 0; i < sizeof record; ++i)
            if (all || random() % 16 == 0) bytes[i] = static_cast<unsigned char>(random());
        record.sequence.store(2 * number + 2);
        from_ = number;
        std::vector<RawEvent> out;
        read(out);
        QCOMPARE(out.size(), 1u);
        QVERIFY(out[0].kind <= wire::EventKind::exception);
        QVERIFY(out[0].severity >= wire::Severity::debug && out[0].severity <= wire::Severity::error);
        std::size_t size = out[0].name.size() + out[0].text.size();
        for (const wire::Field& field : out[0].fields)
            size += 2 + field.name.size();
        QVERIFY(size <= sizeof(EventRecord::bytes));
    }
}

void TestEventRing::chatter_is_what_begins_and_succeeds_and_debug() {
    using enum wire::EventKind;
    QVERIFY(is_chatter(begin, wire::Severity::debug));
    QVERIFY(is_chatter(success, wire::Severity::info));
    QVERIFY(is_chatter(event, wire::Severity::debug));
    QVERIFY(!is_chatter(event, wire::Severity::info));
    QVERIFY(!is_chatter(failure, wire::Severity::warning));
    QVERIFY(!is_chatter(exception, wire::Severity::error));
}

QTEST_GUILESS_MAIN(TestEventRing)
#include "test_event_ring.moc"
