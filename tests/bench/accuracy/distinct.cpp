// The errors of UltraLogLog over many runs, each the merge of eight sketches, as a group of eight workers
// gives it.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <vector>

#include "common/sketch/ultra_log_log.hpp"
#include "tests/bench/accuracy/accuracy.hpp"

namespace bench {
namespace {

using signalbox::sketch::register_count;
using signalbox::sketch::UltraLogLog;

constexpr std::size_t kWorkers = 8;
using Workers = std::vector<UltraLogLog>;

/// Of a maximum likelihood estimate: 8 ln 2 / zeta(2, 5/4) (Ertl, as in ultra_log_log.hpp). No estimate from
/// the same registers can do better for many elements (Cramér and Rao). For n elements it is less by 8 * 2^p
/// / n, since the formula takes also n to be random.
constexpr double kPromisedProduct = 4.6313;
/// Of the promised standard error.
constexpr double kMostBias = 0.2;
constexpr double kErrorTolerance = 0.1;

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014):
/// a new 64-bit value each time until all 2^64 are used up, so a stream of as many distinct hashes as one
/// asks for.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed * 0xD1342543DE82EF95) {}
    std::uint64_t operator()() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }

private:
    std::uint64_t state_;
};

/// What many estimates of the same number were like.
struct Errors {
    double elements = 0;
    unsigned runs = 0;
    double sum = 0;      ///< of the relative errors
    double squares = 0;  ///< of their squares

    void add(double estimate) {
        const double error = estimate / elements - 1;
        ++runs;
        sum += error;
        squares += error * error;
    }
    double bias() const { return sum / runs; }
    double root_mean_square() const { return std::sqrt(squares / runs); }
    double variance() const { return (squares - sum * bias()) / (runs - 1); }
};

UltraLogLog merged(const Workers& workers) {
    UltraLogLog all = workers.front();
    for (const UltraLogLog& worker : workers)
        all.merge(worker);
    return all;
}

/// Elements in turn to every worker, every fourth to another one as well.
void record(Workers& workers, Random& hashes, std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t element = first; element < last; ++element) {
        const std::uint64_t hash = hashes();
        workers[element % kWorkers].add(hash);
        if (element % 4 == 0) workers[hash >> 61].add(hash);
    }
}

/// The numbers of elements up to which each run records: `most`, the first `few_runs` runs also ten times as
/// many.
struct Plan {
    unsigned precision;
    std::uint64_t most;
    unsigned runs;
    unsigned few_runs;
};

std::vector<Errors> recorded(const Plan& plan) {
    std::vector<Errors> all;
    for (std::uint64_t elements = 10; elements <= 10 * plan.most; elements *= 10)
        all.push_back({static_cast<double>(elements)});
    for (unsigned run = 0; run < plan.runs; ++run) {
        Random hashes(plan.precision << 20 | run);
        Workers workers(kWorkers, UltraLogLog(plan.precision));
        std::uint64_t recorded_so_far = 0;
        for (Errors& errors : all) {
            const auto elements = static_cast<std::uint64_t>(errors.elements);
            if (elements > plan.most && run >= plan.few_runs) break;
            record(workers, hashes, recorded_so_far, elements);
            recorded_so_far = elements;
            errors.add(merged(workers).estimate());
        }
    }
    return all;
}

/// Draws the registers that many elements leave, at a cost that does not depend on their number. For so many
/// each register gets a Poisson number of them, `rate` on average, and each count of zeros independently of
/// the others.
class RegisterSource {
public:
    RegisterSource(unsigned precision, double rate) : precision_(precision) {
        for (unsigned zeros = 0; zeros <= 63 - precision; ++zeros) {
            const double more =
                zeros == 63 - precision ? 0.0 : std::ldexp(rate, -static_cast<int>(zeros + 1));
            const double as_many = std::ldexp(rate, -static_cast<int>(std::min(zeros + 1, 63 - precision)));
            none_above_.push_back(std::exp(-more));
            occurs_.push_back(-std::expm1(-as_many));
        }
        while (none_above_[least_likely_] < 1e-18)
            ++least_likely_;
    }

    std::uint8_t operator()(Random& random) const {
        const double draw = uniform(random());
        unsigned zeros = least_likely_;
        while (draw >= none_above_[zeros])
            ++zeros;
        const std::uint64_t bits = random();
        const bool one_fewer = zeros >= 1 && uniform(bits << 32) < occurs_[zeros - 1];
        const bool two_fewer = zeros >= 2 && uniform(bits) < occurs_[zeros - 2];
        return static_cast<std::uint8_t>(4 * (precision_ + zeros) + (one_fewer ? 2 : 0) +
                                         (two_fewer ? 1 : 0));
    }

private:
    static double uniform(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

    unsigned precision_;
    std::vector<double> none_above_;  ///< [zeros]: with what probability no element has more
    std::vector<double> occurs_;      ///< [zeros]: with what probability some element has that many
    unsigned least_likely_ = 0;       ///< fewer zeros as the most are too unlikely to ever be drawn
};

std::vector<Errors> simulated(unsigned precision, unsigned runs) {
    std::vector<Errors> all;
    for (const double elements : {1e9, 1e11, 1e13, 1e15}) {
        Errors errors{elements};
        const auto registers = register_count(precision);
        const RegisterSource draw(precision, elements / static_cast<double>(kWorkers * registers));
        Random random(precision << 20 | all.size());
        std::vector<std::uint8_t> drawn(registers);
        for (unsigned run = 0; run < runs; ++run) {
            UltraLogLog group(precision);
            for (std::size_t worker = 0; worker < kWorkers; ++worker) {
                for (std::uint8_t& value : drawn)
                    value = draw(random);
                group.merge(UltraLogLog::from_registers(drawn));
            }
            errors.add(group.estimate());
        }
        all.push_back(errors);
    }
    return all;
}

/// Prints the line of `errors` and says whether it keeps the promises. Far from many elements the errors are
/// smaller.
bool report(std::ostream& out, unsigned precision, const Errors& errors, const char* how) {
    const double promised = UltraLogLog(precision).relative_standard_error();
    const auto registers = static_cast<double>(register_count(precision));
    const double ratio = errors.root_mean_square() / promised;
    const double product = 8 * registers * errors.variance();
    const double uncertainty = product * std::sqrt(2.0 / errors.runs);
    const bool many = errors.elements >= 20 * registers;
    const bool kept = ratio <= 1 + kErrorTolerance && (!many || ratio >= 1 - kErrorTolerance) &&
                      std::abs(errors.bias()) <= kMostBias * promised &&
                      product - 3 * uncertainty <= kPromisedProduct;
    out << fmt::format(
        "{:>3} {:>6.0e} {:<9} {:>6} {:>+8.3f} % {:>7.3f} % {:>7.3f} % {:>6.2f} {:>6.2f} ± {:.2f}  {}\n",
        precision, errors.elements, how, errors.runs, 100 * errors.bias(), 100 * errors.root_mean_square(),
        100 * promised, ratio, product, uncertainty, kept ? "kept" : "BROKEN");
    return kept;
}

/// Together the simulated runs say more exactly what their variance is.
bool report_product(std::ostream& out, unsigned precision, const std::vector<Errors>& all) {
    double variance = 0;
    double runs = 0;
    for (const Errors& errors : all) {
        variance += errors.variance() * errors.runs;
        runs += errors.runs;
    }
    const double product = 8 * static_cast<double>(register_count(precision)) * variance / runs;
    const double uncertainty = product * std::sqrt(2.0 / runs);
    const bool kept = std::abs(product - kPromisedProduct) <= 3 * uncertainty + 0.02 * kPromisedProduct;
    out << fmt::format(
        "p {}, memory-variance product of {} simulated runs: {:.3f} ± {:.3f}, promised {:.3f}: {}\n",
        precision, runs, product, uncertainty, kPromisedProduct, kept ? "kept" : "BROKEN");
    return kept;
}

}  // namespace

bool check_distinct(std::ostream& out) {
    out << "Distinct (UltraLogLog): every run is the merge of eight sketches. ± is one standard error.\n"
           "  p      n  sketches    runs       bias      RMSE   promised  ratio  8·2^p·variance\n";
    bool kept = true;
    constexpr std::array<Plan, 3> kPlans = {
        {{8, 100'000, 4000, 500}, {12, 1'000'000, 4000, 500}, {16, 100'000, 1000, 500}}};
    for (const Plan& plan : kPlans)
        for (const Errors& errors : recorded(plan))
            kept = report(out, plan.precision, errors, "recorded") && kept;
    for (const unsigned precision : {8u, 12u}) {
        const std::vector<Errors> all = simulated(precision, 20'000);
        for (const Errors& errors : all)
            kept = report(out, precision, errors, "simulated") && kept;
        kept = report_product(out, precision, all) && kept;
    }
    return kept;
}

}  // namespace bench
