// The errors of quantiles, of streams recorded in one histogram and in eight that are merged, against the
// exact order statistics.
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <functional>
#include <ostream>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "common/sketch/exponential_histogram.hpp"
#include "tests/bench/accuracy/accuracy.hpp"

namespace bench {
namespace {

using signalbox::sketch::ExponentialHistogram;
using Random = std::mt19937_64;

constexpr std::size_t kWorkers = 8;
constexpr std::size_t kMostSamples = 10'000'000;
constexpr std::array<int, 2> kScales = {7, 5};
constexpr double kRounding = 1e-12;  // of the values themselves, which are doubles

/// The time that a small message takes through a socket, there and back: what a kernel, its timers and the
/// neighbours make of it.
class SocketLatency {
public:
    SocketLatency() {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()) != 0)
            throw std::system_error(errno, std::generic_category(), "socketpair");
    }
    ~SocketLatency() {
        close(ends_[0]);
        close(ends_[1]);
    }
    SocketLatency(const SocketLatency&) = delete;
    SocketLatency& operator=(const SocketLatency&) = delete;

    double measure() {
        std::array<char, 64> message{};
        const auto start = std::chrono::steady_clock::now();
        if (write(ends_[0], message.data(), message.size()) < 0 ||
            read(ends_[1], message.data(), message.size()) < 0)
            throw std::system_error(errno, std::generic_category(), "a message through a socket pair");
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }

private:
    std::array<int, 2> ends_{};
};

struct Distribution {
    const char* name;
    std::function<double(Random&)> draw;
};

std::vector<Distribution> distributions(SocketLatency& latency) {
    const auto pareto = [](Random& random) {
        return 0.001 * std::pow(1 - std::uniform_real_distribution<double>()(random), -1 / 1.16);
    };
    const auto bimodal = [](Random& random) {
        const bool hit = random() % 10 != 0;
        return std::lognormal_distribution<double>(std::log(hit ? 0.0002 : 0.08), 0.3)(random);
    };
    return {{"uniform 0 … 1", std::uniform_real_distribution<double>(0, 1)},
            {"normal about 0", std::normal_distribution<double>(0, 1)},
            {"lognormal", std::lognormal_distribution<double>(std::log(0.002), 1)},
            {"Pareto 1.16", pareto},
            {"bimodal", bimodal},
            {"constant", [](Random&) { return 0.0123; }},
            {"negative", [](Random& random) { return -std::exponential_distribution<double>(0.1)(random); }},
            {"measured latencies", [&latency](Random&) { return latency.measure(); }}};
}

/// The same samples in one histogram and spread over eight, merged in pairs.
struct Recorded {
    ExponentialHistogram alone;
    ExponentialHistogram merged;

    explicit Recorded(const std::vector<double>& samples) {
        std::vector<ExponentialHistogram> workers(kWorkers);
        for (std::size_t i = 0; i < samples.size(); ++i) {
            alone.record(samples[i]);
            workers[i % kWorkers].record(samples[i]);
        }
        for (std::size_t apart = 1; apart < kWorkers; apart *= 2)
            for (std::size_t i = 0; i < kWorkers; i += 2 * apart)
                workers[i].merge(workers[i + apart]);
        merged = workers[0];
    }
};

/// The largest relative error of the quantiles 0.001, 0.002 … 0.999.
double worst_error(const ExponentialHistogram& histogram, const std::vector<double>& sorted) {
    double worst = 0;
    for (int permille = 1; permille < 1000; ++permille) {
        const auto rank = (sorted.size() * static_cast<std::size_t>(permille) + 999) / 1000;
        const double exact = sorted[rank - 1];
        worst = std::max(worst, std::abs(histogram.quantile(permille / 1000.0).value() / exact - 1));
    }
    return worst;
}

bool check(std::ostream& out, const Distribution& distribution, std::vector<double> samples) {
    const Recorded recorded(samples);
    std::sort(samples.begin(), samples.end());
    std::string line = fmt::format("{:<20} {:>6.0e}", distribution.name, double(samples.size()));
    bool kept = true;
    for (const int scale : kScales) {
        for (const ExponentialHistogram* histogram : {&recorded.alone, &recorded.merged}) {
            const ExponentialHistogram reduced = histogram->reduced_to(scale);
            const double worst = worst_error(reduced, samples);
            kept = kept && worst <= reduced.relative_error() + kRounding;
            line += fmt::format(" {:>9.4f} %", 100 * worst);
        }
        line += fmt::format(" {:>9.4f} % ", 100 * signalbox::sketch::relative_error(scale));
    }
    out << line << (kept ? " kept\n" : " BROKEN\n") << std::flush;
    return kept;
}

}  // namespace

bool check_quantiles(std::ostream& out) {
    out << "Quantiles (exponential histogram): the largest relative error of 0.001, 0.002 … 0.999.\n"
           "                              scale 7: alone, merged of 8, promised     scale 5: alone, merged "
           "of "
           "8, promised\n";
    SocketLatency latency;
    bool kept = true;
    for (const Distribution& distribution : distributions(latency)) {
        Random random(20260707);
        for (std::size_t count = 1000; count <= kMostSamples; count *= 10) {
            std::vector<double> samples(count);
            for (double& sample : samples)
                sample = distribution.draw(random);
            kept = check(out, distribution, std::move(samples)) && kept;
        }
    }
    return kept;
}

}  // namespace bench
