// What a tick costs the agent: the change of a second, collected from the cells of 64 workers with 500 live
// instruments each, merged into the group's and encoded as it is sent to a console. In ms of one core, beside
// the limit of 20 ms; then collecting alone.
//
// Of the 500 instruments 350 are counters, 50 gauges and 100 Durations with 100 records a second each, which is
// about what servers have. Between ticks everything is recorded by this process, so a tick begins with cold
// caches, as it does on a host where workers run.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "agent/service/tick_shape.hpp"
#include "agent/telemetry/collector.hpp"
#include "agent/telemetry/segment.hpp"
#include "signalbox/telemetry.hpp"
#include "tests/bench/bench.hpp"

namespace {

using namespace signalbox;

constexpr unsigned kWorkers = 64;
constexpr unsigned kCounters = 350;
constexpr unsigned kGauges = 50;
constexpr unsigned kDurations = 100;
constexpr unsigned kRecordsPerSecond = 100;  // to each Duration of each worker

struct Instruments {
    explicit Instruments(Telemetry& telemetry) {
        for (unsigned i = 0; i < kCounters; ++i)
            counters.emplace_back(telemetry, "counter" + std::to_string(i) + "_total", "A counter");
        for (unsigned i = 0; i < kGauges; ++i)
            gauges.emplace_back(telemetry, "gauge" + std::to_string(i), "A gauge");
        for (unsigned i = 0; i < kDurations; ++i)
            durations.emplace_back(telemetry, "duration" + std::to_string(i) + "_seconds", "A duration");
    }
    std::vector<Counter> counters;
    std::vector<Gauge> gauges;
    std::vector<Duration> durations;
};

/// What all workers record in a second.
void live_a_second(Telemetry& telemetry, Instruments& instruments, std::mt19937_64& random) {
    for (unsigned worker = 0; worker < kWorkers; ++worker) {
        telemetry.attach(2 * worker);
        for (Counter& counter : instruments.counters)
            counter.add(1 + random() % 1000);
        for (Gauge& gauge : instruments.gauges)
            gauge.set(static_cast<double>(random() % 1000));
        double median = 50'000;
        for (Duration& duration : instruments.durations) {
            std::lognormal_distribution<double> spread(std::log(median *= 1.03), 0.6);
            for (unsigned i = 0; i < kRecordsPerSecond; ++i)
                duration.record(std::chrono::nanoseconds(static_cast<std::int64_t>(spread(random)) + 1));
        }
    }
}

void occupy_all_seats(Telemetry& telemetry) {
    for (unsigned worker = 0; worker < kWorkers; ++worker) {
        telemetry::Seat& seat = *telemetry.segment().seat(2 * worker);
        seat.slot.store(worker);
        seat.generation.store(worker + 1);
        seat.phase.store(static_cast<std::uint32_t>(telemetry::Phase::ready));
        seat.pid.store(1000 + worker);
    }
}

}  // namespace

int main(int argc, char** argv) {
    bench::Suite suite("merge", argc, argv, 9);
    try {
        Telemetry telemetry({.group = "bench", .max_workers = kWorkers});
        Instruments instruments(telemetry);
        occupy_all_seats(telemetry);
        std::mt19937_64 random(1);
        const telemetry::SegmentView view(telemetry.segment().descriptor());
        telemetry::Collector collector(view);
        service::Catalogue catalogue;
        for (const wire::Instrument& instrument : collector.new_instruments())
            catalogue[instrument.index] = instrument;
        live_a_second(telemetry, instruments, random);
        collector.collect();

        std::size_t group_bytes = 0;
        std::size_t worker_bytes = 0;
        const auto tick_ms = [&] {
            live_a_second(telemetry, instruments, random);
            const auto start = std::chrono::steady_clock::now();
            const wire::Tick tick = collector.collect();
            const auto collected = std::chrono::steady_clock::now();
            const std::string frame =
                service::encode_shaped(tick, {service::Granularity::group, 5}, catalogue);
            const auto end = std::chrono::steady_clock::now();
            group_bytes = frame.size();
            worker_bytes = service::encode_shaped(tick, {service::Granularity::worker, 5}, catalogue).size();
            const auto ms = [](std::chrono::duration<double, std::milli> elapsed) { return elapsed.count(); };
            return std::vector{ms(end - start), ms(collected - start)};
        };
        suite.compare({{"merge_64x500", "ms"}, {"collect_64x500", "ms"}}, "the limit, 20 ms", tick_ms, [] {
            return std::vector{20.0, 20.0};
        });
        const int status = suite.finish();
        constexpr double instruments_of_all = kCounters + kGauges + kDurations;
        std::printf("bytes per instrument and tick at scale 5: %.1f for the group, %.1f for each worker\n",
                    static_cast<double>(group_bytes) / instruments_of_all,
                    static_cast<double>(worker_bytes) / instruments_of_all / kWorkers);
        return status;
    } catch (const std::exception& error) {
        std::cerr << "bench_merge: " << error.what() << '\n';
        return 1;
    }
}
