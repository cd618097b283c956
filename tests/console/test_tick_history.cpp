// What charts ask of the last ten minutes, from data rows: merging, gaps, the departed, absolute ticks.
#include <QTest>

#include "console/store/agent_store.hpp"
#include "console/store/tick_history.hpp"
#include "tests/console/fakeagent/synthetic_group.hpp"

using namespace signalbox;
using namespace signalbox::console;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kRequests = 0;
constexpr std::uint32_t kLatency = 1;
constexpr std::uint32_t kGauge = 2;

const WallTime kStart{std::chrono::seconds(1'700'000'000)};

wire::Directory directory(wire::Aggregation gauges = wire::Aggregation::sum) {
    using Kind = wire::InstrumentKind;
    const auto sum = wire::Aggregation::sum;
    return {{{kRequests, Kind::counter, sum, "requests_total", "", "", {{"class", "2xx"}}},
             {kLatency, Kind::distribution, sum, "latency_seconds", "seconds", "", {}},
             {kGauge, Kind::gauge, gauges, "open", "", "", {}}}};
}

ExponentialHistogram latencies(std::initializer_list<double> values) {
    ExponentialHistogram histogram(5);
    for (const double value : values)
        histogram.record(value);
    return histogram;
}

wire::Series of(std::uint32_t slot, std::vector<wire::Sample> samples) {
    return {wire::Series::Source::worker, slot, slot + 1, std::move(samples)};
}

wire::Series departed(std::vector<wire::Sample> samples) {
    return {wire::Series::Source::departed, 0, 0, std::move(samples)};
}

wire::Sample requests(std::uint64_t increase) {
    return {kRequests, wire::CounterDelta{increase}};
}

/// A second's worth; tick n ends n seconds after kStart.
std::shared_ptr<wire::Tick> tick(std::uint64_t number, std::vector<wire::Series> series, int workers = 2) {
    auto made = std::make_shared<wire::Tick>();
    made->number = number;
    made->end = kStart + std::chrono::seconds(number);
    made->length = 1s;
    made->target_workers = static_cast<std::uint32_t>(workers);
    for (int slot = 0; slot < workers; ++slot) {
        wire::Worker worker;
        worker.slot = static_cast<std::uint32_t>(slot);
        worker.generation = worker.slot + 1;
        worker.state = wire::WorkerState::ready;
        worker.resident_bytes = 100 * (worker.slot + 1);
        made->workers.push_back(worker);
    }
    made->series = std::move(series);
    return made;
}

TickHistory historyOf(std::initializer_list<std::shared_ptr<wire::Tick>> ticks) {
    TickHistory history;
    history.addDirectory(directory());
    for (const auto& one : ticks)
        history.addTick(one);
    return history;
}

std::vector<std::optional<double>> values(const TimeSeries& series) {
    std::vector<std::optional<double>> found;
    for (const auto& point : series)
        found.push_back(point.value);
    return found;
}

using Values = std::vector<std::optional<double>>;

}  // namespace

class TestTickHistory : public QObject {
    Q_OBJECT
private Q_SLOTS:
    void quantiles_come_from_merged_sketches() {
        // A worker of 99 quick requests and one of a slow one: the average of their medians would be far off.
        ExponentialHistogram quick(5);
        quick.record(0.001, 99);
        auto history =
            historyOf({tick(1, {of(0, {{kLatency, quick}}), of(1, {{kLatency, latencies({1.0})}})})});
        const auto merged = history.merged({kLatency}, Selection::group(), history.last(10s));
        QCOMPARE(merged.count(), 100u);
        QVERIFY(std::abs(*merged.quantile(0.5) - 0.001) <= 0.001 * merged.relative_error());
        QVERIFY(std::abs(*merged.quantile(1.0) - 1.0) <= merged.relative_error() * 1.000001);
    }

    void merging_over_time_equals_recording_in_one_place() {
        test::SyntheticGroup group(3, kStart);
        TickHistory history;
        history.addDirectory(group.directory());
        for (int i = 0; i < 20; ++i)
            history.addTick(std::make_shared<wire::Tick>(group.next(1s)));
        const auto latency = history.instruments("http_request_duration_seconds");
        const auto whole = history.merged(latency, Selection::group(), history.last(1min));
        ExponentialHistogram parts;
        for (std::uint32_t slot = 0; slot < 3; ++slot)
            parts.merge(history.merged(latency, Selection::slot(slot), history.last(1min)));
        QCOMPARE(whole.count(), parts.count());
        QCOMPARE(whole.buckets(), parts.buckets());
        QCOMPARE(history.merged(latency, Selection::slots({0, 1, 2}), history.last(1min)).buckets(),
                 whole.buckets());
    }

    void a_worker_that_departed_still_counts_for_the_group() {
        auto history = historyOf({tick(1, {of(0, {requests(10)}), departed({requests(5)})})});
        QCOMPARE(history.rate({kRequests}, Selection::group(), history.last(10s)), std::optional(15.0));
        QCOMPARE(history.rate({kRequests}, Selection::slot(0), history.last(10s)), std::optional(10.0));
    }

    void a_process_is_told_from_its_successor_in_the_slot() {
        auto both = tick(1, {of(0, {requests(10)})}, 1);
        both->series.push_back({wire::Series::Source::worker, 0, 9, {requests(3)}});
        auto history = historyOf({both});
        QCOMPARE(history.rate({kRequests}, Selection::process(9), history.last(10s)), std::optional(3.0));
        QCOMPARE(history.rate({kRequests}, Selection::slot(0), history.last(10s)), std::optional(13.0));
    }

    void a_missing_tick_is_a_gap_and_not_zero() {
        auto history = historyOf({tick(1, {of(0, {requests(10)})}), tick(2, {of(0, {requests(20)})}),
                                  tick(5, {of(0, {requests(30)})})});
        const auto line = history.rateSeries({kRequests}, Selection::group(), history.last(1min), 300);
        QCOMPARE(values(line), (Values{10.0, 20.0, std::nullopt, 30.0}));
        // Only what was observed counts: 60 requests in three seconds, not in five.
        QCOMPARE(history.rate({kRequests}, Selection::group(), history.last(1min)), std::optional(20.0));
    }

    void time_that_no_tick_covers_is_a_gap_although_the_numbers_go_on() {
        auto late = tick(2, {of(0, {requests(7)})});
        late->end += 30s;
        auto history = historyOf({tick(1, {of(0, {requests(5)})}), late});
        QCOMPARE(values(history.rateSeries({kRequests}, Selection::group(), history.last(1min), 300)),
                 (Values{5.0, std::nullopt, 7.0}));
    }

    void an_idle_tick_is_zero_requests_but_no_latency() {
        auto history =
            historyOf({tick(1, {of(0, {requests(1), {kLatency, latencies({0.1})}})}), tick(2, {})});
        QCOMPARE(values(history.rateSeries({kRequests}, Selection::group(), history.last(1min), 300)),
                 (Values{1.0, 0.0}));
        QCOMPARE(
            history.quantileSeries({kLatency}, 0.5, Selection::group(), history.last(1min), 300).back().value,
            std::nullopt);
    }

    void a_worker_that_was_not_there_has_a_gap() {
        auto history = historyOf(
            {tick(1, {of(1, {requests(4)})}, 2), tick(2, {}, 1), tick(3, {of(1, {requests(6)})}, 2)});
        QCOMPARE(values(history.rateSeries({kRequests}, Selection::slot(1), history.last(1min), 300)),
                 (Values{4.0, std::nullopt, 6.0}));
    }

    void many_ticks_are_merged_into_the_points_asked_for() {
        TickHistory history;
        history.addDirectory(directory());
        for (std::uint64_t number = 0; number < 600; ++number)
            history.addTick(tick(number, {of(0, {requests(number % 2 ? 30 : 10)})}));
        const auto line = history.rateSeries({kRequests}, Selection::group(), history.last(10min), 300);
        QCOMPARE(line.size(), 300u);
        for (const auto& point : line)
            QCOMPARE(point.value, std::optional(20.0));
    }

    void points_stay_the_same_while_the_range_slides_on() {
        TickHistory history;
        history.addDirectory(directory());
        for (std::uint64_t number = 0; number < 600; ++number)
            history.addTick(tick(number, {of(0, {requests(number)})}));
        const auto before = history.rateSeries({kRequests}, Selection::group(), history.last(10min), 100);
        history.addTick(tick(600, {of(0, {requests(600)})}));
        const auto after = history.rateSeries({kRequests}, Selection::group(), history.last(10min), 100);
        QCOMPARE(before[50], after[50]);
    }

    void an_absolute_tick_sets_totals_and_workers_but_no_series() {
        auto total = tick(3, {departed({requests(1000)})}, 4);
        total->absolute = true;
        auto history = historyOf({tick(2, {of(0, {requests(10)})}), tick(3, {of(0, {requests(10)})}), total});
        QCOMPARE(history.total({kRequests}), std::optional<std::uint64_t>(1000));
        QCOMPARE(history.latest()->workers.size(), 4u);
        QCOMPARE(values(history.rateSeries({kRequests}, Selection::group(), history.last(1min), 300)),
                 (Values{10.0, 10.0}));
        history.addTick(tick(4, {of(0, {requests(10)})}));
        QCOMPARE(history.total({kRequests}), std::optional<std::uint64_t>(1010));
    }

    void totals_are_unknown_before_an_absolute_tick() {
        QCOMPARE(historyOf({tick(1, {of(0, {requests(10)})})}).total({kRequests}), std::nullopt);
    }

    void a_tick_that_is_known_already_is_dropped() {
        auto history = historyOf({tick(1, {of(0, {requests(10)})}), tick(2, {of(0, {requests(10)})})});
        QVERIFY(!history.addTick(tick(2, {of(0, {requests(10)})})));
        QVERIFY(!history.addTick(tick(1, {of(0, {requests(10)})})));
        QCOMPARE(history.tickCount(), 2u);
    }

    void ten_minutes_are_kept() {
        TickHistory history;
        for (std::uint64_t number = 1; number <= 700; ++number)
            history.addTick(tick(number, {}));
        QCOMPARE(history.tickCount(), 600u);
    }

    void gauges_combine_as_they_declare_data() {
        QTest::addColumn<int>("aggregation");
        QTest::addColumn<double>("expected");
        QTest::newRow("sum") << static_cast<int>(wire::Aggregation::sum) << 12.0;
        QTest::newRow("max") << static_cast<int>(wire::Aggregation::max) << 9.0;
    }
    void gauges_combine_as_they_declare() {
        QFETCH(int, aggregation);
        QFETCH(double, expected);
        TickHistory history;
        history.addDirectory(directory(static_cast<wire::Aggregation>(aggregation)));
        history.addTick(
            tick(1, {of(0, {{kGauge, wire::GaugeValue{3}}}), of(1, {{kGauge, wire::GaugeValue{9}}})}));
        QCOMPARE(history.gaugeSeries(kGauge, Selection::group(), history.last(10s), 10).back().value,
                 std::optional(expected));
    }

    void worker_properties_are_folded_over_the_selected() {
        auto history = historyOf({tick(1, {}, 3)});
        const auto memory = [](const wire::Worker& worker) {
            return static_cast<double>(worker.resident_bytes);
        };
        using Combine = TickHistory::Combine;
        QCOMPARE(
            values(history.workerSeries(memory, Combine::sum, Selection::group(), history.last(10s), 10)),
            (Values{600.0}));
        QCOMPARE(values(history.workerSeries(memory, Combine::max, Selection::slots({0, 1}),
                                             history.last(10s), 10)),
                 (Values{200.0}));
    }

    void instruments_are_found_by_name_and_label() {
        const auto history = historyOf({});
        QCOMPARE(history.instruments("requests_total"), (TickHistory::Instruments{kRequests}));
        QCOMPARE(history.instruments("requests_total", "class", "2xx").size(), 1u);
        QVERIFY(history.instruments("requests_total", "class", "5xx").empty());
    }

    void a_command_means_the_worker_that_serves_not_the_one_that_drains() {
        auto both = tick(1, {}, 1);
        both->workers.front().state = wire::WorkerState::draining;
        auto successor = both->workers.front();
        successor.generation = 9;
        successor.state = wire::WorkerState::ready;
        both->workers.push_back(successor);
        AgentStore store;
        store.addTick(both);
        QCOMPARE(store.worker(0)->generation, 9u);
        QCOMPARE(store.worker(1), nullptr);
    }

    void a_restarted_group_starts_afresh() {
        AgentStore store;
        store.setHello({.group = "g",
                        .host = {},
                        .version = {},
                        .bootId = "one",
                        .arbiterPid = 0,
                        .agentPid = 0,
                        .mayAct = true});
        store.addTick(tick(100, {}));
        store.setHello({.group = "g",
                        .host = {},
                        .version = {},
                        .bootId = "one",
                        .arbiterPid = 0,
                        .agentPid = 0,
                        .mayAct = true});
        QCOMPARE(store.history().tickCount(), 1u);
        store.setHello({.group = "g",
                        .host = {},
                        .version = {},
                        .bootId = "two",
                        .arbiterPid = 0,
                        .agentPid = 0,
                        .mayAct = true});
        QVERIFY(store.history().empty());
    }

    void events_that_come_again_are_listed_once() {
        AgentStore store;
        wire::Events events{0,
                            {{.sequence = 1,
                              .time = kStart,
                              .severity = wire::Severity::info,
                              .slot = 0,
                              .generation = 1,
                              .pid = 5,
                              .name = "worker_ready",
                              .text = "ready"}}};
        store.addEvents(std::make_shared<wire::Events>(events));
        events.events.front().sequence = 77;  // another agent of the same group numbers afresh
        store.addEvents(std::make_shared<wire::Events>(events));
        QCOMPARE(store.events().size(), 1u);
    }

    void the_list_of_events_is_bounded() {
        AgentStore store;
        wire::Events events;
        for (std::uint64_t i = 0; i < AgentStore::kMostEvents + 500; ++i)
            events.events.push_back({.sequence = i,
                                     .time = kStart + std::chrono::nanoseconds(i),
                                     .severity = wire::Severity::info,
                                     .slot = 0,
                                     .generation = 1,
                                     .pid = 1,
                                     .name = "e",
                                     .text = ""});
        store.addEvents(std::make_shared<wire::Events>(events));
        QCOMPARE(store.events().size(), AgentStore::kMostEvents);
        QCOMPARE(store.events().back().event.sequence, AgentStore::kMostEvents + 499);
    }
};

QTEST_GUILESS_MAIN(TestTickHistory)
#include "test_tick_history.moc"
