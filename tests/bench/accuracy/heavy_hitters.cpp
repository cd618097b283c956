// What Space-Saving says of the keys of Zipf's law, in one table and in eight that are merged, beside the
// exact counts.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "common/sketch/heavy_hitters.hpp"
#include "tests/bench/accuracy/accuracy.hpp"

namespace bench {
namespace {

using signalbox::sketch::HeavyHitter;
using signalbox::sketch::HeavyHitters;
using signalbox::sketch::key_tag;
using signalbox::sketch::set_of;
using signalbox::sketch::SpaceSavingTable;
using Random = std::mt19937_64;

constexpr std::size_t kKeys = 1'000'000;
constexpr double kExponent = 1.1;
constexpr std::size_t kWorkers = 8;
constexpr double kLeastRecallOf50 = 0.9;

std::string name(std::size_t rank) {
    return "GET /item/" + std::to_string(rank);
}

class Zipf {
public:
    Zipf() : cumulated_(kKeys) {
        double sum = 0;
        for (std::size_t rank = 0; rank < kKeys; ++rank)
            cumulated_[rank] = sum += std::pow(static_cast<double>(rank + 1), -kExponent);
    }
    std::size_t operator()(Random& random) const {
        const double at = std::uniform_real_distribution<double>(0, cumulated_.back())(random);
        const auto found = std::lower_bound(cumulated_.begin(), cumulated_.end(), at);
        return static_cast<std::size_t>(found - cumulated_.begin());
    }

private:
    std::vector<double> cumulated_;
};

/// A stream: how often each key truly came, and what the tables say.
struct Counted {
    std::vector<std::uint64_t> truth = std::vector<std::uint64_t>(kKeys);
    HeavyHitters seen;

    Counted(const Zipf& zipf, std::size_t samples, std::size_t workers) {
        std::vector<std::unique_ptr<SpaceSavingTable>> tables(workers);
        for (auto& table : tables)
            table = std::make_unique<SpaceSavingTable>();
        Random random(20260707);
        for (std::size_t i = 0; i < samples; ++i) {
            const std::size_t rank = zipf(random);
            ++truth[rank];
            add(*tables[i % workers], name(rank));
        }
        for (const auto& table : tables)
            seen.merge(read(*table));
    }

    /// How many keys weigh more or less than is said of them.
    std::size_t broken_bounds() const {
        std::size_t broken = 0;
        for (std::size_t rank = 0; rank < kKeys; ++rank) {
            const HeavyHitter* one = seen.find(name(rank));
            const std::uint64_t least = one ? one->at_least() : 0;
            const std::uint64_t most = one ? one->count : seen.unlisted[set_of(key_tag(name(rank)))];
            if (truth[rank] < least || truth[rank] > most) ++broken;
        }
        return broken;
    }

    /// A kWays-th of what fell into the fullest set: no error may be larger.
    std::uint64_t promised_error() const {
        std::vector<std::uint64_t> loads(SpaceSavingTable::kSets);
        for (std::size_t rank = 0; rank < kKeys; ++rank)
            loads[set_of(key_tag(name(rank)))] += truth[rank];
        return *std::max_element(loads.begin(), loads.end()) / SpaceSavingTable::kWays;
    }

    /// The share of the truly most frequent `k` keys that are among the `k` with the largest counts.
    double recall(std::size_t k) const {
        std::vector<std::size_t> ranks(kKeys);
        std::iota(ranks.begin(), ranks.end(), 0);
        std::partial_sort(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(k), ranks.end(),
                          [this](std::size_t a, std::size_t b) {
                              return truth[a] != truth[b] ? truth[a] > truth[b] : a < b;
                          });
        const std::vector<HeavyHitter> top = seen.top(k);
        const auto is_in_top = [&top](std::size_t rank) {
            return std::any_of(top.begin(), top.end(),
                               [rank](const HeavyHitter& one) { return one.key == name(rank); });
        };
        const auto found =
            std::count_if(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(k), is_in_top);
        return static_cast<double>(found) / static_cast<double>(k);
    }
};

bool check(std::ostream& out, const Zipf& zipf, std::size_t samples, std::size_t workers) {
    const Counted counted(zipf, samples, workers);
    const std::size_t broken = counted.broken_bounds();
    const std::uint64_t error = counted.seen.max_error();
    const std::uint64_t promised = counted.promised_error();
    const double recall_of_10 = counted.recall(10);
    const double recall_of_50 = counted.recall(50);
    const bool kept = broken == 0 && error <= promised && counted.seen.total == samples &&
                      recall_of_10 == 1 && recall_of_50 >= kLeastRecallOf50;
    out << fmt::format("{:>7.0e} {:>6} {:>8} {:>13.4f} % {:>9.4f} % {:>9.0f} % {:>9.0f} %  {}\n",
                       double(samples), workers, broken, 100 * double(error) / double(samples),
                       100 * double(promised) / double(samples), 100 * recall_of_10, 100 * recall_of_50,
                       kept ? "kept" : "BROKEN")
        << std::flush;
    return kept;
}

}  // namespace

bool check_heavy_hitters(std::ostream& out) {
    out << fmt::format(
        "Heavy hitters (Space-Saving): a million keys by Zipf's law, exponent {}. No count may break its "
        "bound, no error\nexceed the promised share of the total; of the true top 10 all must be found, of "
        "the top 50 {:.0f} %.\n"
        "samples tables   broken largest error    promised     top 10      top 50\n",
        kExponent, 100 * kLeastRecallOf50);
    const Zipf zipf;
    bool kept = true;
    for (const std::size_t samples : {10'000u, 100'000u, 1'000'000u, 10'000'000u})
        for (const std::size_t workers : {std::size_t{1}, kWorkers})
            kept = check(out, zipf, samples, workers) && kept;
    return kept;
}

}  // namespace bench
