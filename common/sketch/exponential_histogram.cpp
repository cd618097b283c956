#include "common/sketch/exponential_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace signalbox::sketch {
namespace {

constexpr double kNearest = 1.0 / (std::uint64_t{1} << -kLowestExponent);
constexpr double kFurthest = std::uint64_t{1} << kHighestExponent;

/// How many values of `side` have at most this magnitude, if those of bucket `index`, which holds it, are
/// spread evenly.
double values_up_to(double magnitude, int index, const BucketRun& side, int scale) {
    const double low = bucket_upper_bound(index - 1, scale);
    const double high = bucket_upper_bound(index, scale);
    const double share = std::clamp((magnitude - low) / (high - low), 0.0, 1.0);
    return static_cast<double>(side.count_up_to(index - 1)) + static_cast<double>(side.count(index)) * share;
}

}  // namespace

void ExponentialHistogram::record(double value, std::uint64_t times) {
    if (times == 0) return;
    if (std::isnan(value)) return add_nans(times);
    if (std::isinf(value)) return value > 0 ? add_positive_infinities(times) : add_negative_infinities(times);
    const double magnitude = std::abs(value);
    if (value == 0) {
        value = 0;  // not -0
        add_zeros(times);
    } else {
        if (magnitude <= kNearest) mark_underflow(times);
        if (magnitude > kFurthest) mark_overflow(times);
        (value > 0 ? positive_ : negative_).add(bucket_of(magnitude), times);
        count_ += times;
    }
    sum_ += value * static_cast<double>(times);
    widen_extremes(value, value);
}

/// The bucket that takes it; for what lies beyond the covered range the outermost.
int ExponentialHistogram::bucket_of(double magnitude) const {
    const int finest = bucket_index(std::clamp(magnitude, kNearest, kFurthest));
    return std::max(finest, kFirstBucket) >> (kFinestScale - scale_);
}

void ExponentialHistogram::add_to_bucket(int index, std::uint64_t count) {
    positive_.add(index, count);
    count_ += count;
}

void ExponentialHistogram::add_to_negative_bucket(int index, std::uint64_t count) {
    negative_.add(index, count);
    count_ += count;
}

void ExponentialHistogram::add_buckets(BucketRun counts) {
    count_ += counts.total();
    if (positive_.empty())
        positive_ = std::move(counts);
    else
        positive_.add(counts, 0);
}

void ExponentialHistogram::add_negative_buckets(BucketRun counts) {
    count_ += counts.total();
    if (negative_.empty())
        negative_ = std::move(counts);
    else
        negative_.add(counts, 0);
}

void ExponentialHistogram::add_zeros(std::uint64_t count) {
    zeros_ += count;
    count_ += count;
}

void ExponentialHistogram::widen_extremes(double min, double max) {
    exact_min_ = std::min(exact_min_.value_or(min), min);
    exact_max_ = std::max(exact_max_.value_or(max), max);
}

/// All but the extremes.
void ExponentialHistogram::add_counts_of(const ExponentialHistogram& finer) {
    positive_.add(finer.positive_, finer.scale_ - scale_);
    negative_.add(finer.negative_, finer.scale_ - scale_);
    zeros_ += finer.zeros_;
    count_ += finer.count_;
    sum_ += finer.sum_;  // also while it is empty: a delta may bring a sum whose count comes with the next
    nans_ += finer.nans_;
    positive_infinities_ += finer.positive_infinities_;
    negative_infinities_ += finer.negative_infinities_;
    underflow_ += finer.underflow_;
    overflow_ += finer.overflow_;
}

void ExponentialHistogram::merge(const ExponentialHistogram& other) {
    if (other.scale_ < scale_ && !other.empty()) *this = reduced_to(other.scale_);
    const bool extremes_known = (empty() || exact_min_) && (other.empty() || other.exact_min_);
    add_counts_of(other);
    if (!extremes_known) {
        exact_min_.reset();
        exact_max_.reset();
    } else if (!other.empty()) {
        widen_extremes(*other.exact_min_, *other.exact_max_);
    }
}

void ExponentialHistogram::subtract(const ExponentialHistogram& part) {
    positive_.subtract(part.positive_);
    negative_.subtract(part.negative_);
    const auto take = [](std::uint64_t& from, std::uint64_t count) { from -= std::min(from, count); };
    take(zeros_, part.zeros_);
    count_ = positive_.total() + negative_.total() + zeros_;
    sum_ -= part.sum_;
    take(nans_, part.nans_);
    take(positive_infinities_, part.positive_infinities_);
    take(negative_infinities_, part.negative_infinities_);
    take(underflow_, part.underflow_);
    take(overflow_, part.overflow_);
}

ExponentialHistogram ExponentialHistogram::reduced_to(int scale) const {
    if (scale >= scale_) return *this;
    ExponentialHistogram coarse(scale);
    coarse.add_counts_of(*this);
    coarse.exact_min_ = exact_min_;
    coarse.exact_max_ = exact_max_;
    return coarse;
}

std::optional<double> ExponentialHistogram::mean() const {
    if (empty()) return std::nullopt;
    return sum_ / static_cast<double>(count_);
}

std::optional<double> ExponentialHistogram::min() const {
    if (empty() || exact_min_) return exact_min_;
    if (!negative_.empty()) return -bucket_midpoint(negative_.last(), scale_);
    if (zeros_ > 0) return 0.0;
    return bucket_midpoint(positive_.first(), scale_);
}

std::optional<double> ExponentialHistogram::max() const {
    if (empty() || exact_max_) return exact_max_;
    if (!positive_.empty()) return bucket_midpoint(positive_.last(), scale_);
    if (zeros_ > 0) return 0.0;
    return -bucket_midpoint(negative_.first(), scale_);
}

std::optional<double> ExponentialHistogram::quantile(double q) const {
    if (empty()) return std::nullopt;
    // Nearest rank: the smallest value with at least q * count values up to it; ranks start at 1. Of 10,000
    // values 0.007 are 70, although the double nearest to 0.007 is a little more.
    constexpr double kRounding = std::numeric_limits<double>::epsilon();
    const double exact_rank =
        std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_) * (1 - kRounding));
    const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(exact_rank), 1, count_);
    const double value = value_of_rank(rank);
    return exact_min_ ? std::clamp(value, *exact_min_, *exact_max_) : value;
}

double ExponentialHistogram::value_of_rank(std::uint64_t rank) const {
    std::uint64_t seen = 0;
    for (int index = negative_.last(); index >= negative_.first(); --index) {
        seen += negative_.count(index);
        if (seen >= rank) return -bucket_midpoint(index, scale_);
    }
    seen += zeros_;
    if (seen >= rank) return 0;
    int index = positive_.first();
    while ((seen += positive_.count(index)) < rank && index < positive_.last())
        ++index;
    return bucket_midpoint(index, scale_);
}

std::uint64_t ExponentialHistogram::count_up_to(double value) const {
    if (std::isnan(value)) return 0;
    if (value < 0) return negative_.total() - negative_.count_up_to(bucket_of(-value) - 1);
    const std::uint64_t above_zero = value > 0 ? positive_.count_up_to(bucket_of(value)) : 0;
    return negative_.total() + zeros_ + above_zero;
}

double ExponentialHistogram::cdf(double value) const {
    if (empty() || std::isnan(value)) return 0;
    if (exact_min_ && value < *exact_min_) return 0;
    if (exact_max_ && value >= *exact_max_) return 1;
    const int bucket = bucket_of(std::abs(value));
    double seen = static_cast<double>(negative_.total());
    if (value < 0)
        seen -= values_up_to(-value, bucket, negative_, scale_);
    else
        seen += static_cast<double>(zeros_) + values_up_to(value, bucket, positive_, scale_);
    return seen / static_cast<double>(count_);
}

double ExponentialHistogram::density(double value) const {
    const double magnitude = std::abs(value);
    if (empty() || !(magnitude > kNearest && magnitude <= kFurthest)) return 0;
    const int bucket = bucket_of(magnitude);
    const double width = bucket_upper_bound(bucket, scale_) - bucket_upper_bound(bucket - 1, scale_);
    const std::uint64_t inside = (value > 0 ? positive_ : negative_).count(bucket);
    return static_cast<double>(inside) / (static_cast<double>(count_) * width);
}

Moments ExponentialHistogram::moments() const {
    if (empty()) return {};
    const double mean = sum_ / static_cast<double>(count_);
    double squares = 0;
    double cubes = 0;
    double fourths = 0;
    const auto add = [&](double value, std::uint64_t count) {
        const double distance = value - mean;
        const double square = distance * distance * static_cast<double>(count);
        squares += square;
        cubes += square * distance;
        fourths += square * distance * distance;
    };
    for (int index = negative_.first(); index <= negative_.last(); ++index)
        add(-bucket_midpoint(index, scale_), negative_.count(index));
    add(0, zeros_);
    for (int index = positive_.first(); index <= positive_.last(); ++index)
        add(bucket_midpoint(index, scale_), positive_.count(index));
    return {static_cast<double>(count_), mean, squares, cubes, fourths};
}

}  // namespace signalbox::sketch
