// What recording costs, beside prometheus-cpp and beside the least that could do the job. In ns per record.
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "signalbox/family.hpp"
#include "signalbox/state_tracker.hpp"
#include "signalbox/telemetry.hpp"
#include "tests/bench/bench.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kInstruments = 1000;
constexpr std::size_t kSamples = 1 << 14;
constexpr unsigned kRounds = 400;              // × kSamples records in a run
constexpr std::size_t kManySamples = 1 << 18;  // for 1,000 instruments: a few hundred values for each
constexpr unsigned kThreads = 4;

/// Nothing that is kept in memory may be assumed across this: without it the compiler would keep an
/// instrument's cells in registers for a whole loop, which no server's code lets it do. Costs nothing itself;
/// both sides have it.
inline void forget_registers() {
    asm volatile("" ::: "memory");
}

double nanoseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

constexpr const char* kPeer = "prometheus-cpp Histogram, 20 buckets";

/// Calls `record(i)` for every sample's index, `rounds` times over; ns per call.
template <class Record>
double time_per_call(Record record, unsigned rounds = kRounds, std::size_t samples = kSamples) {
    const auto start = Clock::now();
    for (unsigned round = 0; round < rounds; ++round)
        for (std::size_t i = 0; i < samples; ++i) {
            record(i);
            forget_registers();
        }
    return nanoseconds_since(start) / (double(rounds) * static_cast<double>(samples));
}

/// Latencies as a server has them: most around 2 ms, a tail beyond 100 ms; and which instrument each one goes
/// to.
struct Samples {
    explicit Samples(std::size_t count) {
        std::mt19937_64 random(1);
        std::lognormal_distribution<double> latency(std::log(0.002), 1.0);
        for (std::size_t i = 0; i < count; ++i) {
            seconds.push_back(latency(random));
            ticks.push_back(static_cast<std::uint64_t>(seconds.back() * 1e9));
            instrument.push_back(random() % kInstruments);
        }
    }
    std::vector<double> seconds;
    std::vector<std::uint64_t> ticks;
    std::vector<std::uint32_t> instrument;
};

/// 20 buckets, 1-2-5 from 10 µs, as people configure them.
const prometheus::Histogram::BucketBoundaries& boundaries() {
    static const prometheus::Histogram::BucketBoundaries bounds = {1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3,
                                                                   2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1,  0.2,
                                                                   0.5,  1,    2,    5,    10,   20};
    return bounds;
}

/// `record(i)` from several threads at once: from the first one's start to the last one's end, divided by the
/// records of all.
template <class Record>
double time_per_call_of_threads(Record record) {
    constexpr unsigned kThreadRounds = kRounds / kThreads;
    std::barrier start_together(kThreads);
    std::vector<Clock::time_point> starts(kThreads);
    std::vector<Clock::time_point> ends(kThreads);
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < kThreads; ++thread)
        threads.emplace_back([&, thread] {
            start_together.arrive_and_wait();
            starts[thread] = Clock::now();
            time_per_call(record, kThreadRounds);
            ends[thread] = Clock::now();
        });
    for (std::thread& thread : threads)
        thread.join();
    const auto span =
        *std::max_element(ends.begin(), ends.end()) - *std::min_element(starts.begin(), starts.end());
    return std::chrono::duration<double, std::nano>(span).count() /
           (double(kThreads) * kThreadRounds * kSamples);
}

std::vector<signalbox::Distribution> many_distributions(signalbox::Telemetry& telemetry) {
    std::vector<signalbox::Distribution> all;
    for (unsigned i = 0; i < kInstruments; ++i)
        all.emplace_back(telemetry, "many_seconds", "One of many", "seconds", 1e9,
                         signalbox::Labels{{"number", std::to_string(i)}});
    return all;
}

std::vector<std::unique_ptr<prometheus::Histogram>> many_histograms() {
    std::vector<std::unique_ptr<prometheus::Histogram>> all;
    for (unsigned i = 0; i < kInstruments; ++i)
        all.push_back(std::make_unique<prometheus::Histogram>(boundaries()));
    return all;
}

void compare_counters(bench::Suite& suite, signalbox::Telemetry& telemetry) {
    signalbox::Counter counter(telemetry, "hits_total", "Hits");
    prometheus::Counter peer;
    std::atomic<std::uint64_t> bare{0};
    const auto ours = [&] { return time_per_call([&](std::size_t) { counter.add(); }); };
    suite.compare("counter_add", "ns", "prometheus-cpp Counter", ours,
                  [&] { return time_per_call([&](std::size_t) { peer.Increment(); }); });
    suite.compare("counter_add_beside_bare", "ns", "relaxed load, add, store", ours, [&] {
        return time_per_call([&](std::size_t) {
            bare.store(bare.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        });
    });
}

void compare_distributions(bench::Suite& suite, signalbox::Telemetry& telemetry, const Samples& samples) {
    signalbox::Distribution distribution(telemetry, "latency_seconds", "Latency", "seconds", 1e9);
    prometheus::Histogram histogram(boundaries());
    // Plain pointers: what finds the next sample is no part of either side.
    const std::uint64_t* const ticks = samples.ticks.data();
    const double* const seconds = samples.seconds.data();
    suite.compare(
        "distribution_record", "ns", kPeer,
        [&] {
            return time_per_call([&distribution, ticks](std::size_t i) { distribution.record(ticks[i]); });
        },
        [&] {
            return time_per_call([&histogram, seconds](std::size_t i) { histogram.Observe(seconds[i]); });
        });

    // None of the four is the owner: each takes a lane of its own.
    suite.compare(
        "distribution_record_4threads", "ns", kPeer,
        [&] {
            return time_per_call_of_threads(
                [&distribution, ticks](std::size_t i) { distribution.record(ticks[i]); });
        },
        [&] {
            return time_per_call_of_threads(
                [&histogram, seconds](std::size_t i) { histogram.Observe(seconds[i]); });
        });
}

void compare_many_distributions(bench::Suite& suite, signalbox::Telemetry& telemetry) {
    const Samples samples(kManySamples);
    constexpr unsigned kManyRounds = kRounds * kSamples / kManySamples;
    auto distributions = many_distributions(telemetry);
    const auto histograms = many_histograms();
    const std::uint64_t* const ticks = samples.ticks.data();
    const double* const seconds = samples.seconds.data();
    const std::uint32_t* const chosen = samples.instrument.data();
    suite.compare(
        "distribution_record_1000", "ns", kPeer,
        [&] {
            return time_per_call([all = distributions.data(), chosen,
                                  ticks](std::size_t i) { all[chosen[i]].record(ticks[i]); },
                                 kManyRounds, kManySamples);
        },
        [&] {
            return time_per_call([all = histograms.data(), chosen,
                                  seconds](std::size_t i) { all[chosen[i]]->Observe(seconds[i]); },
                                 kManyRounds, kManySamples);
        });
}

void compare_timers(bench::Suite& suite, signalbox::Telemetry& telemetry) {
    signalbox::Duration duration(telemetry, "section_duration_seconds", "A timed section");
    std::uint64_t elapsed = 0;
    constexpr unsigned kTimerRounds = kRounds / 8;  // clocks are slow
    suite.compare(
        "duration_scope", "ns", "its two clock reads",
        [&] { return time_per_call([&](std::size_t) { const auto timer = duration.time(); }, kTimerRounds); },
        [&] {
            return time_per_call(
                [&](std::size_t) {
                    const std::uint64_t start = signalbox::detail::section_now();
                    elapsed += signalbox::detail::section_now() - start;
                },
                kTimerRounds);
        });
}

void compare_state_trackers(bench::Suite& suite, signalbox::Telemetry& telemetry) {
    signalbox::StateTracker clients(telemetry, "client", "Clients", {"idle", "busy"});
    auto client = clients.enter(0);
    std::uint64_t last = 0;
    suite.compare(
        "state_move", "ns", "its clock read",
        [&] { return time_per_call([&](std::size_t i) { client.move_to(i % 2); }, kRounds / 8); },
        [&] {
            return time_per_call([&](std::size_t) { last = signalbox::detail::section_now(); }, kRounds / 8);
        });
}

void compare_families(bench::Suite& suite, signalbox::Telemetry& telemetry) {
    static constexpr const char* kPaths[] = {"/", "/letters", "/letters/7", "/boxes", "/favicon.ico"};
    static constexpr const char* kStatuses[] = {"200", "404", "500"};
    signalbox::Family<signalbox::Counter> requests(telemetry, "requests_total", "Requests",
                                                   {"path", "status"});
    prometheus::Registry registry;
    auto& peer = prometheus::BuildCounter().Name("requests_total").Register(registry);
    suite.compare(
        "family_counter_add", "ns", "prometheus-cpp Family::Add, Increment",
        [&] {
            return time_per_call([&](std::size_t i) { requests.with(kPaths[i % 5], kStatuses[i % 3]).add(); },
                                 kRounds / 8);
        },
        [&] {
            return time_per_call(
                [&](std::size_t i) {
                    peer.Add({{"path", kPaths[i % 5]}, {"status", kStatuses[i % 3]}}).Increment();
                },
                kRounds / 8);
        });
}

}  // namespace

int main(int argc, char** argv) {
    bench::Suite suite("record", argc, argv, 9);
    try {
        signalbox::Telemetry telemetry({.group = "bench",
                                        .max_workers = 1,
                                        .instruments = kInstruments + 64,
                                        .distributions = kInstruments + 16,
                                        .path = {}});
        telemetry.attach(0);
        const Samples samples(kSamples);
        compare_distributions(suite, telemetry, samples);
        compare_many_distributions(suite, telemetry);
        compare_counters(suite, telemetry);
        compare_timers(suite, telemetry);
        compare_state_trackers(suite, telemetry);
        compare_families(suite, telemetry);
    } catch (const std::exception& error) {
        std::cerr << "bench_record: " << error.what() << '\n';
        return 1;
    }
    return suite.finish();
}
