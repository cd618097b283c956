// A mergeable distribution: exact counts per exponential bucket.
//
//     ExponentialHistogram all;
//     for (const auto& worker : workers) all.merge(worker.latency);
//     if (auto p99 = all.quantile(0.99)) std::cout << *p99;       // within all.relative_error() of the true
//     one
//
// Merging adds counts, so any tree of merges over any workers and any spans of time gives the same histogram
// as recording everything in one place. Merging different scales reduces to the coarser one. A value type;
// not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/sketch/exponential_buckets.hpp"

namespace signalbox::sketch {

class ExponentialHistogram {
public:
    explicit ExponentialHistogram(int scale = kFinestScale) : scale_(scale) {}

    /// Counts one value, in the base unit. Values <= 0 count as zero; NaN is ignored; beyond the covered
    /// range the outermost bucket takes it.
    void record(double value, std::uint64_t times = 1);

    /// Adds `count` to bucket `index` of this histogram's own scale.
    void add_to_bucket(int index, std::uint64_t count);
    void add_zeros(std::uint64_t count);
    void add_sum(double sum) { sum_ += sum; }
    /// Extremes that the source knows exactly; without them min() and max() are those of the outermost
    /// buckets.
    void widen_extremes(double min, double max);

    void merge(const ExponentialHistogram& other);

    /// The same data at a coarser scale (a finer one is not possible and leaves it as it is).
    ExponentialHistogram reduced_to(int scale) const;

    bool empty() const { return count_ == 0; }
    std::uint64_t count() const { return count_; }
    std::uint64_t zeros() const { return zeros_; }
    double sum() const { return sum_; }
    /// All of these: none while empty.
    std::optional<double> mean() const;
    std::optional<double> min() const;
    std::optional<double> max() const;
    /// The q-quantile, 0 <= q <= 1 (nearest rank), within relative_error() of the true one.
    std::optional<double> quantile(double q) const;

    /// How many values were at most `value`, with the bucket that holds `value` counted whole.
    std::uint64_t count_up_to(double value) const;

    int scale() const { return scale_; }
    double relative_error() const { return sketch::relative_error(scale_); }

    /// Bucket `first_bucket() + i` holds `buckets()[i]`; both ends are trimmed of what was never counted.
    int first_bucket() const { return first_; }
    const std::vector<std::uint64_t>& buckets() const { return buckets_; }

    friend bool operator==(const ExponentialHistogram&, const ExponentialHistogram&) = default;

private:
    void cover(int first, int last);
    void add_buckets_of(const ExponentialHistogram& finer);

    int scale_;
    int first_ = 0;
    std::vector<std::uint64_t> buckets_;
    std::uint64_t zeros_ = 0;
    std::uint64_t count_ = 0;
    double sum_ = 0;
    std::optional<double> exact_min_;
    std::optional<double> exact_max_;
};

}  // namespace signalbox::sketch
