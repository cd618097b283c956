#include "common/sketch/exponential_histogram.hpp"

#include <algorithm>
#include <cmath>

namespace signalbox::sketch {

void ExponentialHistogram::record(double value, std::uint64_t times) {
    if (std::isnan(value) || times == 0) return;
    if (value <= 0) {
        add_zeros(times);
        value = 0;
    } else {
        const double inside =
            std::clamp(value, std::ldexp(1.0, kLowestExponent), std::ldexp(1.0, kHighestExponent));
        const int finest = std::max(bucket_index(inside), kFirstBucket);
        add_to_bucket(finest >> (kFinestScale - scale_), times);
    }
    sum_ += value * static_cast<double>(times);
    widen_extremes(value, value);
}

void ExponentialHistogram::cover(int first, int last) {
    if (buckets_.empty()) {
        first_ = first;
        buckets_.resize(static_cast<std::size_t>(last - first) + 1);
        return;
    }
    if (first < first_) {
        buckets_.insert(buckets_.begin(), static_cast<std::size_t>(first_ - first), 0);
        first_ = first;
    }
    if (last >= first_ + static_cast<int>(buckets_.size()))
        buckets_.resize(static_cast<std::size_t>(last - first_) + 1);
}

void ExponentialHistogram::add_to_bucket(int index, std::uint64_t count) {
    if (count == 0) return;
    cover(index, index);
    buckets_[static_cast<std::size_t>(index - first_)] += count;
    count_ += count;
}

void ExponentialHistogram::add_buckets_of(const ExponentialHistogram& finer) {
    if (finer.buckets_.empty()) return;
    const int shift = finer.scale_ - scale_;
    const int last = finer.first_ + static_cast<int>(finer.buckets_.size()) - 1;
    cover(finer.first_ >> shift, last >> shift);
    for (int index = finer.first_; index <= last; ++index)
        add_to_bucket(index >> shift, finer.buckets_[static_cast<std::size_t>(index - finer.first_)]);
}

void ExponentialHistogram::add_zeros(std::uint64_t count) {
    zeros_ += count;
    count_ += count;
}

void ExponentialHistogram::widen_extremes(double min, double max) {
    exact_min_ = std::min(exact_min_.value_or(min), min);
    exact_max_ = std::max(exact_max_.value_or(max), max);
}

void ExponentialHistogram::merge(const ExponentialHistogram& other) {
    if (other.empty()) {
        sum_ += other.sum_;  // a delta may bring a sum whose count comes with the next
        return;
    }
    if (other.scale_ < scale_) *this = reduced_to(other.scale_);
    const bool extremes_known = (empty() || exact_min_) && other.exact_min_;
    add_buckets_of(other);
    add_zeros(other.zeros_);
    sum_ += other.sum_;
    if (extremes_known) {
        widen_extremes(*other.exact_min_, *other.exact_max_);
    } else {
        exact_min_.reset();
        exact_max_.reset();
    }
}

ExponentialHistogram ExponentialHistogram::reduced_to(int scale) const {
    if (scale >= scale_) return *this;
    ExponentialHistogram coarse(scale);
    coarse.add_buckets_of(*this);
    coarse.add_zeros(zeros_);
    coarse.sum_ = sum_;
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
    if (zeros_ > 0) return 0.0;
    return bucket_midpoint(first_, scale_);
}

std::optional<double> ExponentialHistogram::max() const {
    if (empty() || exact_max_) return exact_max_;
    if (buckets_.empty()) return 0.0;
    return bucket_midpoint(first_ + static_cast<int>(buckets_.size()) - 1, scale_);
}

std::optional<double> ExponentialHistogram::quantile(double q) const {
    if (empty()) return std::nullopt;
    // Nearest rank: the smallest value with at least q * count values up to it; ranks start at 1.
    const double exact_rank = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
    const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(exact_rank), 1, count_);
    double value = 0;
    std::uint64_t seen = zeros_;
    for (std::size_t i = 0; seen < rank && i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen >= rank) value = bucket_midpoint(first_ + static_cast<int>(i), scale_);
    }
    if (exact_min_) value = std::clamp(value, *exact_min_, *exact_max_);
    return value;
}

std::uint64_t ExponentialHistogram::count_up_to(double value) const {
    if (std::isnan(value) || value < 0) return 0;
    std::uint64_t seen = zeros_;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        if (bucket_upper_bound(first_ + static_cast<int>(i) - 1, scale_) >= value) break;
        seen += buckets_[i];
    }
    return seen;
}

}  // namespace signalbox::sketch
