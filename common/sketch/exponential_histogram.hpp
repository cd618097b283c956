// A mergeable distribution: exact counts per exponential bucket.
//
//     ExponentialHistogram all;
//     for (const auto& worker : workers) all.merge(worker.latency);
//     if (auto p99 = all.quantile(0.99)) std::cout << *p99;       // within all.relative_error() of the true
//     one
//
// Merging adds counts, so any tree of merges over any workers and any spans of time gives the same histogram
// as recording everything in one place. Merging different scales reduces to the coarser one. Values below
// zero have buckets of their own, the mirror of those above. A value type; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/sketch/bucket_run.hpp"
#include "common/sketch/exponential_buckets.hpp"
#include "common/sketch/moments.hpp"

namespace signalbox::sketch {

class ExponentialHistogram {
public:
    explicit ExponentialHistogram(int scale = kFinestScale) : scale_(scale) {}

    /// Counts one value, in the base unit. NaN and the infinities are counted apart; what is closer to zero
    /// or further from it than the covered range goes to the outermost bucket of its side.
    void record(double value, std::uint64_t times = 1);

    /// Adds `count` to bucket `index` of this histogram's own scale.
    void add_to_bucket(int index, std::uint64_t count);
    /// To the bucket of the values whose negatives fall into bucket `index`.
    void add_to_negative_bucket(int index, std::uint64_t count);
    /// Whole runs of the same; quick, since they are moved where nothing was yet.
    void add_buckets(BucketRun counts);
    void add_negative_buckets(BucketRun counts);
    void add_zeros(std::uint64_t count);
    void add_sum(double sum) { sum_ += sum; }
    /// Extremes that the source knows exactly; without them min() and max() are those of the outermost
    /// buckets.
    void widen_extremes(double min, double max);
    /// What is never part of the count, the sum or a quantile.
    void add_nans(std::uint64_t count) { nans_ += count; }
    void add_positive_infinities(std::uint64_t count) { positive_infinities_ += count; }
    void add_negative_infinities(std::uint64_t count) { negative_infinities_ += count; }
    /// Says that so many of those in the buckets next to zero, or furthest from it, lie beyond them.
    void mark_underflow(std::uint64_t count) { underflow_ += count; }
    void mark_overflow(std::uint64_t count) { overflow_ += count; }

    void merge(const ExponentialHistogram& other);
    /// Takes back what was merged, of the same scale: all counts and the sum. The extremes stay.
    void subtract(const ExponentialHistogram& part);

    /// The same data at a coarser scale (a finer one is not possible and leaves it as it is).
    ExponentialHistogram reduced_to(int scale) const;

    bool empty() const { return count_ == 0; }
    std::uint64_t count() const { return count_; }
    std::uint64_t zeros() const { return zeros_; }
    double sum() const { return sum_; }
    std::uint64_t nans() const { return nans_; }
    std::uint64_t positive_infinities() const { return positive_infinities_; }
    std::uint64_t negative_infinities() const { return negative_infinities_; }
    /// How many values, of both signs, were closer to zero than the covered range without being zero; how
    /// many were further from it. The stated errors do not hold for them.
    std::uint64_t underflow() const { return underflow_; }
    std::uint64_t overflow() const { return overflow_; }

    /// All of these: none while empty.
    std::optional<double> mean() const;
    std::optional<double> min() const;
    std::optional<double> max() const;
    /// The q-quantile, 0 <= q <= 1 (nearest rank), within relative_error() of the true one.
    std::optional<double> quantile(double q) const;

    /// How many values were at most `value`, with the bucket that holds `value` counted whole.
    std::uint64_t count_up_to(double value) const;

    /// The share of values that are at most `value`, 0 … 1, taking those of a bucket as spread evenly over
    /// it. Wrong by at most the share that the bucket of `value` has, and not at all at the bounds of
    /// buckets. 0 while empty and for NaN.
    double cdf(double value) const;

    /// The share of values per unit around `value`: that of its bucket divided by the bucket's width. 0 while
    /// empty, beyond the covered range, for NaN, and at zero itself, whose values have no width.
    double density(double value) const;

    /// The mean, which is exact, and the spread and shape about it, with each value taken for the one that
    /// stands for its bucket. With e = relative_error(), the standard deviation is wrong by at most e * r2
    /// and the fourth root of the fourth central moment by at most e * r4, where rp is the p-th root of the
    /// mean of |value|^p (Minkowski's inequality); the third central moment by at most
    /// (c3 + e * r3)^3 - c3^3, with c3 the third root of the mean of |value - mean|^3. So far from zero,
    /// where the spread is small against the mean, all but the mean are coarse: at scale 7 nothing is known
    /// of a spread below 0.3 % of it.
    Moments moments() const;

    int scale() const { return scale_; }
    double relative_error() const { return sketch::relative_error(scale_); }

    /// Bucket `first_bucket() + i` holds `buckets()[i]`; both ends are trimmed of what was never counted.
    int first_bucket() const { return positive_.first(); }
    const BucketRun& buckets() const { return positive_; }
    /// The same of the values below zero: bucket `i` counts those whose negatives fall into bucket `i`.
    int first_negative_bucket() const { return negative_.first(); }
    const BucketRun& negative_buckets() const { return negative_; }

    friend bool operator==(const ExponentialHistogram&, const ExponentialHistogram&) = default;

private:
    int bucket_of(double magnitude) const;
    void add_counts_of(const ExponentialHistogram& finer);
    double value_of_rank(std::uint64_t rank) const;

    int scale_;
    BucketRun positive_;
    BucketRun negative_;
    std::uint64_t zeros_ = 0;
    std::uint64_t count_ = 0;
    double sum_ = 0;
    std::uint64_t nans_ = 0;
    std::uint64_t positive_infinities_ = 0;
    std::uint64_t negative_infinities_ = 0;
    std::uint64_t underflow_ = 0;
    std::uint64_t overflow_ = 0;
    std::optional<double> exact_min_;
    std::optional<double> exact_max_;
};

}  // namespace signalbox::sketch
