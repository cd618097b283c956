// What counting different and most frequent keys costs, beside the bare hash of a key and beside a named limit.
// In ns per key.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "common/sketch/distinct_hash.hpp"
#include "common/sketch/space_saving.hpp"
#include "signalbox/distinct.hpp"
#include "signalbox/heavy_hitters.hpp"
#include "tests/bench/bench.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kKeys = 1 << 16;
constexpr unsigned kRounds = 60;

template <class Work>
double time_per_key(Work work) {
    const auto start = Clock::now();
    for (unsigned round = 0; round < kRounds; ++round)
        for (std::size_t i = 0; i < kKeys; ++i)
            work(i);
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / (double(kRounds) * kKeys);
}

/// 16 bytes each, as an IPv6 address has.
std::vector<std::string> addresses() {
    std::vector<std::string> keys;
    std::mt19937_64 random(1);
    for (std::size_t i = 0; i < kKeys; ++i) {
        const std::uint64_t halves[2] = {random(), random()};
        keys.emplace_back(reinterpret_cast<const char*>(halves), sizeof halves);
    }
    return keys;
}

/// Keys as people choose them: the n-th of a million comes with a frequency of 1 / n^1.1.
std::vector<std::string> zipf_keys() {
    constexpr int kDifferent = 1'000'000;
    std::vector<double> cumulated(kDifferent);
    double sum = 0;
    for (int n = 0; n < kDifferent; ++n)
        cumulated[static_cast<std::size_t>(n)] = sum += std::pow(n + 1, -1.1);
    std::mt19937_64 random(2);
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < kKeys; ++i) {
        const double at = std::uniform_real_distribution<double>(0, sum)(random);
        const auto n = std::lower_bound(cumulated.begin(), cumulated.end(), at) - cumulated.begin();
        keys.push_back("client-" + std::to_string(n));
    }
    return keys;
}

}  // namespace

int main(int argc, char** argv) {
    bench::Suite suite("distinct", argc, argv, 9);
    try {
        signalbox::Telemetry telemetry({.group = "bench", .max_workers = 1});
        telemetry.attach(0);
        signalbox::Distinct clients(telemetry, "clients", "Clients");
        signalbox::HeavyHitters busiest(telemetry, "busiest_clients", "Clients by requests");
        const std::vector<std::string> keys = addresses();
        std::uint64_t sink = 0;
        suite.compare(
            "distinct_add", "ns", "bare XXH3 of the 16-byte key",
            [&] { return time_per_key([&](std::size_t i) { clients.add(keys[i]); }); },
            [&] {
                return time_per_key([&](std::size_t i) {
                    sink += XXH3_64bits_withSeed(keys[i].data(), keys[i].size(),
                                                 signalbox::sketch::kDistinctSeed);
                    asm volatile("" : "+r"(sink));
                });
            });
        const std::vector<std::string> zipf = zipf_keys();
        suite.compare(
            "heavy_hitters_add", "ns", "the limit, 10 ns; table of 48 KiB, Zipf(1.1)",
            [&] { return time_per_key([&](std::size_t i) { busiest.add(zipf[i]); }); }, [] { return 10.0; });
        static_assert(sizeof(signalbox::sketch::SpaceSavingTable) <= 48 * 1024);
    } catch (const std::exception& error) {
        std::cerr << "bench_distinct: " << error.what() << '\n';
        return 1;
    }
    return suite.finish();
}
