// Mean, spread and shape of a stream of values, in five numbers that merge.
//
//     Moments all;
//     for (const auto& worker : workers) all.merge(worker.moments);
//     if (auto sigma = all.standard_deviation()) std::cout << *all.mean() << " ± " << *sigma;
//
// Kept are the weight, the mean and the sums of the second to fourth powers of the distances from it, updated
// by the pairwise formulas of Pébay: "Formulas for robust, one-pass parallel computation of covariances and
// arbitrary-order statistical moments" (SAND2008-6212, section 3). Plain sums of powers would cancel
// catastrophically wherever the mean is large against the spread; these do not. Any grouping of merges gives
// the same up to rounding.
//
// All results are those of the values themselves (a population), not estimates for one that they are drawn
// from.
#pragma once

#include <optional>

namespace signalbox::sketch {

/// A value type; not thread-safe.
class Moments {
public:
    Moments() = default;
    /// From what is known already: the weight (>= 0) of all values, their mean, and the weighted sums of the
    /// powers of their distances from it.
    Moments(double weight, double mean, double sum_of_squares, double sum_of_cubes, double sum_of_fourths)
        : weight_(weight), mean_(mean), m2_(sum_of_squares), m3_(sum_of_cubes), m4_(sum_of_fourths) {}

    /// Adds a finite value, as if `weight` times (>= 0, not necessarily whole).
    void add(double value, double weight = 1) { merge(Moments(weight, value, 0, 0, 0)); }
    void merge(const Moments& other);

    /// Of all values; a count if every value had weight 1, exact to 2^53.
    double weight() const { return weight_; }
    bool empty() const { return weight_ == 0; }

    /// In the values' unit. None while empty.
    std::optional<double> mean() const;
    /// In the square of the values' unit. None while empty.
    std::optional<double> variance() const;
    /// In the values' unit. None while empty.
    std::optional<double> standard_deviation() const;
    /// The third standardized moment: 0 for what is symmetric, above for a long upper tail, 2 for an
    /// exponential distribution. None while empty or while all values are the same.
    std::optional<double> skewness() const;
    /// The fourth standardized moment: 3 for a normal distribution, more for heavier tails. None while empty
    /// or while all values are the same.
    std::optional<double> kurtosis() const;

    friend bool operator==(const Moments&, const Moments&) = default;

private:
    double weight_ = 0;
    double mean_ = 0;
    double m2_ = 0;
    double m3_ = 0;
    double m4_ = 0;
};

}  // namespace signalbox::sketch
