// Ticks and events without sockets: the test is the clock and the subscribers.
#include <unistd.h>

#include <QTest>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "agent/service/feeds.hpp"
#include "agent/telemetry/seat.hpp"
#include "common/wire/codec.hpp"
#include "signalbox/events.hpp"
#include "tests/agent/service/fake_group.hpp"
#include "tests/support/memory.hpp"

using namespace signalbox;
using namespace signalbox::service;
using namespace std::chrono_literals;

namespace {

struct Receiver : Subscriber {
    std::vector<wire::Message> messages;
    std::vector<Frame> frames;

    void deliver(const Frame& frame, Loss) override {
        frames.push_back(frame);
        wire::Decoded decoded = wire::decode(frame.text());
        QVERIFY2(decoded, decoded.error.c_str());
        messages.push_back(std::move(*decoded.message));
    }
    void take(const Feeds& feeds, const Opening& opening) {
        for (const Opening::Item& item : opening.frames)
            deliver(item.reshape_to ? feeds.reshape(item.frame, *item.reshape_to) : item.frame, Loss::never);
    }
    template <class Kind>
    std::vector<Kind> all() const {
        std::vector<Kind> found;
        for (const wire::Message& message : messages)
            if (const auto* kind = std::get_if<Kind>(&message)) found.push_back(*kind);
        return found;
    }
};

std::uint64_t counted(const wire::Tick& tick, std::uint32_t instrument = 0) {
    std::uint64_t sum = 0;
    for (const wire::Series& series : tick.series)
        for (const wire::Sample& sample : series.samples)
            if (sample.instrument == instrument) sum += std::get<wire::CounterDelta>(sample.value).increase;
    return sum;
}

/// A feed's life in made-up seconds.
struct Life {
    explicit Life(FakeGroup& group) : view(group.segment().descriptor()), feeds(view, now) {}
    void pass(std::chrono::milliseconds time) {
        for (const auto end = now + time; feeds.next_due() <= end;)
            feeds.run_due(now = feeds.next_due());
    }
    Clock::time_point now = Clock::now();
    telemetry::SegmentView view;
    Feeds feeds;
};

}  // namespace

class TestFeeds : public QObject {
    Q_OBJECT
private slots:
    void the_sum_of_all_ticks_is_the_total_when_workers_come_and_go();
    void group_granularity_merges_all_series_into_one();
    void a_scale_is_what_the_subscriber_asked_for();
    void history_and_live_ticks_join_without_gap_or_duplicate();
    void since_brings_only_what_the_client_has_not();
    void an_opening_has_the_parts_in_the_order_of_the_contract();
    void new_instruments_are_announced_before_the_tick_that_uses_them();
    void equal_subscribers_share_one_frame();
    void a_feed_of_another_period_ends_with_its_last_subscriber();
    void too_many_periods_are_refused_with_advice();
    void events_of_all_rings_come_in_the_order_of_time();
    void failures_of_actions_are_passed_on_and_chatter_is_not();
    void overwritten_events_are_counted_as_lost();
    void history_stays_within_its_bounds();
    void history_takes_no_more_memory_than_its_frames();
    void a_frame_of_the_past_stays_what_it_is_while_somebody_has_it();
    void the_last_minute_is_what_happened_in_it();
};

void TestFeeds::the_sum_of_all_ticks_is_the_total_when_workers_come_and_go() {
    FakeGroup group;
    Counter letters(group.telemetry, "letters_total", "Letters");
    group.start_worker(0);
    group.in_worker(0, [&] { letters.add(1000); });
    Life life(group);
    Receiver workers;
    Receiver merged;
    workers.take(life.feeds, life.feeds.subscribe(workers, {}, life.now));
    merged.take(life.feeds, life.feeds.subscribe(merged, {.shape = {Granularity::group, 5}}, life.now));

    std::uint64_t total = 1000;
    for (unsigned round = 0; round < 20; ++round) {
        const unsigned seat = round % 4;
        if (round != 0) group.start_worker(seat);
        const auto record = [&](unsigned amount) {
            group.in_worker(seat, [&] { letters.add(amount); });
            total += amount;
        };
        record(round);
        if (round % 2 == 0) life.pass(1s);
        record(3);  // between its last tick and its end
        group.end_worker(seat);
        if (round % 3 == 0) life.pass(1s);
    }
    life.pass(1s);
    for (const Receiver* receiver : {&workers, &merged}) {
        std::uint64_t sum = 0;
        for (const wire::Tick& tick : receiver->all<wire::Tick>())
            sum += counted(tick);
        QCOMPARE(sum, total);
    }
    QCOMPARE(counted(life.feeds.totals()), total);
}

void TestFeeds::group_granularity_merges_all_series_into_one() {
    FakeGroup group;
    Counter letters(group.telemetry, "letters_total", "Letters");
    Gauge open(group.telemetry, "open", "Open", Gauge::Merge::sum);
    Gauge oldest(group.telemetry, "oldest_seconds", "Oldest", Gauge::Merge::max);
    Distribution sizes(group.telemetry, "size_bytes", "Sizes", "bytes");
    for (const unsigned seat : {0u, 2u, 4u})
        group.start_worker(seat);
    Life life(group);
    Receiver receiver;
    life.feeds.subscribe(receiver, {.shape = {Granularity::group, 7}}, life.now);
    for (const unsigned seat : {0u, 2u, 4u})
        group.in_worker(seat, [&] {
            letters.add(seat + 1);
            open.set(seat + 1);
            oldest.set(seat + 1);
            for (unsigned i = 0; i < 100; ++i)
                sizes.record(1 + seat * 100 + i);
        });
    life.pass(1s);
    const auto ticks = receiver.all<wire::Tick>();
    QCOMPARE(ticks.size(), 1u);
    QCOMPARE(ticks[0].series.size(), 1u);
    QCOMPARE(ticks[0].series[0].source, wire::Series::Source::group);
    const auto& samples = ticks[0].series[0].samples;
    QCOMPARE(samples.size(), 4u);
    QCOMPARE(std::get<wire::CounterDelta>(samples[0].value).increase, 9u);
    QCOMPARE(std::get<wire::GaugeValue>(samples[1].value).value, 9.0);
    QCOMPARE(std::get<wire::GaugeValue>(samples[2].value).value, 5.0);
    const auto& merged = std::get<sketch::ExponentialHistogram>(samples[3].value);
    QCOMPARE(merged.count(), 300u);
    QCOMPARE(merged.sum(), 100 * 200.0 + 100 * 400.0 + 3 * 5050.0);
    QVERIFY(std::abs(*merged.quantile(0.9) - 470) < 470 * 0.003);
    QCOMPARE(ticks[0].workers.size(), 3u);
}

void TestFeeds::a_scale_is_what_the_subscriber_asked_for() {
    FakeGroup group;
    Distribution sizes(group.telemetry, "size_bytes", "Sizes", "bytes");
    group.start_worker(0);
    Life life(group);
    std::map<int, Receiver> receivers;
    for (const int scale : {-2, 0, 5, 7})
        life.feeds.subscribe(receivers[scale], {.shape = {Granularity::worker, scale}}, life.now);
    group.in_worker(0, [&] {
        for (unsigned i = 1; i < 5000; ++i)
            sizes.record(i);
    });
    life.pass(1s);
    for (const auto& [scale, receiver] : receivers) {
        const auto ticks = receiver.all<wire::Tick>();
        const auto& histogram =
            std::get<sketch::ExponentialHistogram>(ticks.at(0).series.at(0).samples.at(0).value);
        QCOMPARE(histogram.scale(), scale);
        QCOMPARE(histogram.count(), 4999u);
    }
}

void TestFeeds::history_and_live_ticks_join_without_gap_or_duplicate() {
    FakeGroup group;
    Counter letters(group.telemetry, "letters_total", "Letters");
    group.start_worker(0);
    Life life(group);
    for (unsigned i = 0; i < 10; ++i) {
        group.in_worker(0, [&] { letters.add(1); });
        life.pass(1s);
    }
    Receiver receiver;
    receiver.take(life.feeds, life.feeds.subscribe(
                                  receiver, {.shape = {Granularity::group, 3}, .history = 5min}, life.now));
    life.pass(3s);
    std::uint64_t expected = 2;  // the first of all was the absolute one
    for (const wire::Tick& tick : receiver.all<wire::Tick>()) {
        if (tick.absolute) {
            QCOMPARE(tick.number, expected - 1);
            QCOMPARE(counted(tick), 10u);
            continue;
        }
        QCOMPARE(tick.number, expected++);
        QCOMPARE(counted(tick), tick.number <= 11 ? 1u : 0u);
        QCOMPARE(tick.series.at(0).source, wire::Series::Source::group);
    }
    QCOMPARE(expected, 15u);
}

void TestFeeds::since_brings_only_what_the_client_has_not() {
    FakeGroup group;
    Life life(group);
    Receiver before;
    life.feeds.subscribe(before, {}, life.now);
    group.log("seen", "The client saw this.");
    life.pass(5s);
    life.feeds.unsubscribe(before);
    const auto seen = before.all<wire::Tick>();
    group.log("missed", "The client did not see this.");
    life.pass(4s);
    QCOMPARE(before.all<wire::Tick>().size(), seen.size());

    Receiver after;
    after.take(life.feeds, life.feeds.subscribe(after, {.since = seen.back().end}, life.now));
    std::uint64_t expected = seen.back().number + 1;
    for (const wire::Tick& tick : after.all<wire::Tick>())
        if (!tick.absolute) QCOMPARE(tick.number, expected++);
    QCOMPARE(expected, seen.back().number + 5);
    const auto events = after.all<wire::Events>();
    QCOMPARE(events.size(), 1u);
    QCOMPARE(events[0].events.size(), 1u);
    QCOMPARE(QString::fromStdString(events[0].events[0].name), "missed");
}

void TestFeeds::an_opening_has_the_parts_in_the_order_of_the_contract() {
    FakeGroup group;
    Counter letters(group.telemetry, "letters_total", "Letters");
    group.log("group_started", "It runs.");
    Life life(group);
    life.pass(2s);
    Receiver receiver;
    const Opening opening = life.feeds.subscribe(receiver, {.history = 60s}, life.now);
    receiver.take(life.feeds, opening);
    QCOMPARE(receiver.messages.size(), 5u);
    QVERIFY(std::holds_alternative<wire::Directory>(receiver.messages[0]));
    QVERIFY(!std::get<wire::Tick>(receiver.messages[1]).absolute);
    QVERIFY(!std::get<wire::Tick>(receiver.messages[2]).absolute);
    QCOMPARE(std::get<wire::Events>(receiver.messages[3]).events.size(), 1u);
    QVERIFY(std::get<wire::Tick>(receiver.messages[4]).absolute);
    QCOMPARE(std::get<wire::Tick>(receiver.messages[4]).number, opening.tick);
}

void TestFeeds::new_instruments_are_announced_before_the_tick_that_uses_them() {
    FakeGroup group;
    group.start_worker(0);
    Life life(group);
    Receiver receiver;
    life.feeds.subscribe(receiver, {}, life.now);
    Counter late(group.telemetry, "late_total", "Late");
    group.in_worker(0, [&] { late.add(1); });
    life.pass(1s);
    QCOMPARE(std::get<wire::Directory>(receiver.messages.at(0)).instruments.at(0).name, "late_total");
    QCOMPARE(counted(std::get<wire::Tick>(receiver.messages.at(1))), 1u);
    life.pass(1s);
    QCOMPARE(receiver.all<wire::Directory>().size(), 1u);
}

void TestFeeds::equal_subscribers_share_one_frame() {
    FakeGroup group;
    Life life(group);
    Receiver one;
    Receiver two;
    life.feeds.subscribe(one, {}, life.now);
    life.feeds.subscribe(two, {}, life.now);
    life.pass(1s);
    QVERIFY(one.frames.at(0).text().data() == two.frames.at(0).text().data());
}

void TestFeeds::a_feed_of_another_period_ends_with_its_last_subscriber() {
    FakeGroup group;
    Life life(group);
    Receiver receiver;
    life.feeds.subscribe(receiver, {.period = 200ms}, life.now);
    life.pass(1s);
    QCOMPARE(receiver.all<wire::Tick>().size(), 5u);
    life.feeds.subscribe(receiver, {.period = 1s}, life.now);
    life.pass(2s);
    QCOMPARE(receiver.all<wire::Tick>().size(), 7u);
    life.feeds.unsubscribe(receiver);
    QVERIFY(life.feeds.next_due() > life.now + 500ms);
    life.pass(2s);
    QCOMPARE(receiver.all<wire::Tick>().size(), 7u);
}

void TestFeeds::too_many_periods_are_refused_with_advice() {
    FakeGroup group;
    Life life(group);
    std::vector<Receiver> receivers(Feeds::kMaxFeeds);
    for (std::size_t i = 0; i + 1 < receivers.size(); ++i)
        life.feeds.subscribe(receivers[i], {.period = std::chrono::milliseconds(200 + i)}, life.now);
    try {
        life.feeds.subscribe(receivers.back(), {.period = 5s}, life.now);
        QFAIL("it was taken");
    } catch (const std::length_error& error) {
        QVERIFY(QString(error.what()).contains("take one of 200, 201"));
    }
    life.feeds.subscribe(receivers.back(), {.period = 1s}, life.now);
    for (Receiver& receiver : receivers)
        life.feeds.unsubscribe(receiver);
    life.feeds.subscribe(receivers.back(), {.period = 5s}, life.now);
    life.feeds.unsubscribe(receivers.back());
}

void TestFeeds::events_of_all_rings_come_in_the_order_of_time() {
    FakeGroup group;
    group.start_worker(2);
    group.start_worker(4);
    Life life(group);
    Receiver receiver;
    life.feeds.subscribe(receiver, {}, life.now);
    const auto worker_says = [&](unsigned seat, const char* name) {
        group.segment().seat_ring(seat).append(telemetry::monotonic_ns(), 1, 1, wire::Severity::warning, name,
                                               "");
    };
    worker_says(4, "first");
    group.log("second", "");
    worker_says(2, "third");
    group.segment()
        .seat_ring(group.segment().arbiter_seat())
        .append(telemetry::monotonic_ns(), 1, 0, wire::Severity::info, "fourth", "");
    life.pass(100ms);
    const auto events = receiver.all<wire::Events>();
    QCOMPARE(events.size(), 1u);
    QStringList names;
    QList<std::uint32_t> slots_named;
    for (const wire::Event& event : events[0].events) {
        names << QString::fromStdString(event.name);
        slots_named << event.slot;
        QCOMPARE(event.sequence, static_cast<std::uint64_t>(names.size()));
    }
    QCOMPARE(names, (QStringList{"first", "second", "third", "fourth"}));
    QCOMPARE(slots_named, (QList<std::uint32_t>{2, wire::Event::kGroup, 1, wire::Event::kGroup}));
}

void TestFeeds::failures_of_actions_are_passed_on_and_chatter_is_not() {
    FakeGroup group;
    group.start_worker(2);
    Life life(group);
    Receiver receiver;
    life.feeds.subscribe(receiver, {}, life.now);
    const signalbox::EventLog log(group.telemetry);
    group.in_worker(2, [&log] {
        auto charge = log.action("charge", {{"amount", 12.5}});
        auto receipt = log.action("receipt");
        charge.failure("declined");
    });
    life.pass(100ms);
    const auto events = receiver.all<wire::Events>();
    QCOMPARE(events.at(0).events.size(), 1u);
    const wire::Event& failure = events.at(0).events[0];
    QCOMPARE(failure.kind, wire::EventKind::failure);
    QCOMPARE(failure.text, std::string("declined"));
    QCOMPARE(failure.slot, 1u);
    QVERIFY(failure.duration > 0ns);
    QVERIFY((failure.fields == std::vector<wire::Field>{{"amount", 12.5}}));
}

void TestFeeds::overwritten_events_are_counted_as_lost() {
    FakeGroup group;
    Life life(group);
    Receiver receiver;
    life.feeds.subscribe(receiver, {}, life.now);
    for (unsigned i = 0; i < telemetry::kEventRingRecords + 10; ++i)
        group.log("many", "Too many.");
    life.pass(100ms);
    const auto events = receiver.all<wire::Events>();
    QCOMPARE(events.at(0).lost + events.at(0).events.size(), telemetry::kEventRingRecords + 10u);
    QVERIFY(events.at(0).lost >= 10);
    QCOMPARE(life.feeds.events().lost(), events.at(0).lost);
    for (unsigned round = 0; round < 10; ++round) {
        for (unsigned i = 0; i < 200; ++i)
            group.log("more", "");
        life.pass(100ms);
    }
    QCOMPARE(life.feeds.events().retained().size(), service::EventLog::kRetained);
}

void TestFeeds::history_stays_within_its_bounds() {
    History history;
    const std::string frame(1 << 20, 'x');
    wire::WallTime end{};
    for (int i = 0; i < 100; ++i)
        history.add(end += 1s, frame);
    QCOMPARE(history.size(), 16u);
    QVERIFY(history.bytes() <= History::kBytes);
    for (int i = 0; i < 1000; ++i)
        history.add(end += 1s, "x");
    QCOMPARE(history.size(), 300u);
    QCOMPARE(history.since(end - 10s).size(), 10u);
}

void TestFeeds::history_takes_no_more_memory_than_its_frames() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    QSKIP("a sanitizer keeps memory that has been freed");
#endif
    const std::uint64_t before = anonymous_bytes(::getpid());
    QVERIFY(before > 0);
    History history;
    std::mt19937 random(7);
    wire::WallTime end{};
    for (int i = 0; i < 5000; ++i) {
        std::string frame;
        while (frame.size() < 20'000 + random() % 20'000)
            frame += 'x';
        history.add(end += 1s, frame);
    }
    QCOMPARE(history.size(), 300u);
    const std::uint64_t taken = anonymous_bytes(::getpid()) - before;
    QVERIFY2(taken < history.bytes() * 5 / 4, qPrintable(QString::number(taken)));
}

void TestFeeds::a_frame_of_the_past_stays_what_it_is_while_somebody_has_it() {
    History history;
    wire::WallTime end{};
    std::vector<Frame> kept;
    for (int i = 0; i < 3000; ++i) {
        history.add(end += 1s, std::string(10'000, static_cast<char>('a' + i % 26)));
        if (i % 100 == 0) kept.push_back(history.since(end - 1s).at(0));
    }
    for (std::size_t i = 0; i < kept.size(); ++i)
        QVERIFY(kept[i].text() == std::string(10'000, static_cast<char>('a' + i * 100 % 26)));
}

void TestFeeds::the_last_minute_is_what_happened_in_it() {
    FakeGroup group;
    Duration scoring(group.telemetry, "scoring_duration_seconds", "Scoring");
    group.start_worker(0);
    group.in_worker(0, [&] { scoring.record(1h); });
    Life life(group);
    for (unsigned i = 1; i <= 10; ++i) {
        group.in_worker(0, [&] { scoring.record(10ms * i); });
        life.pass(1s);
    }
    const wire::Tick minute = life.feeds.last_minute();
    const auto& histogram = std::get<sketch::ExponentialHistogram>(minute.series.at(0).samples.at(0).value);
    QCOMPARE(histogram.count(), 10u);
    QVERIFY(std::abs(*histogram.quantile(0.5) - 0.05) < 0.05 * 0.003);
}

QTEST_GUILESS_MAIN(TestFeeds)
#include "test_feeds.moc"
