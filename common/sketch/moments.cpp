#include "common/sketch/moments.hpp"

#include <cmath>

namespace signalbox::sketch {

void Moments::merge(const Moments& other) {
    if (other.empty()) return;
    if (empty()) {
        *this = other;
        return;
    }
    const double total = weight_ + other.weight_;
    const double distance = other.mean_ - mean_;
    // Shares rather than weights: products of four weights and the like could overflow.
    const double a = weight_ / total;
    const double b = other.weight_ / total;
    const double square = distance * distance;

    m4_ += other.m4_ + square * square * total * a * b * (a * a - a * b + b * b) +
           6 * square * (a * a * other.m2_ + b * b * m2_) + 4 * distance * (a * other.m3_ - b * m3_);
    m3_ += other.m3_ + square * distance * total * a * b * (a - b) + 3 * distance * (a * other.m2_ - b * m2_);
    m2_ += other.m2_ + square * total * a * b;
    mean_ += distance * b;
    weight_ = total;
}

std::optional<double> Moments::mean() const {
    if (empty()) return std::nullopt;
    return mean_;
}

std::optional<double> Moments::variance() const {
    if (empty()) return std::nullopt;
    return m2_ / weight_;
}

std::optional<double> Moments::standard_deviation() const {
    if (empty()) return std::nullopt;
    return std::sqrt(m2_ / weight_);
}

std::optional<double> Moments::skewness() const {
    if (!(m2_ > 0)) return std::nullopt;
    const double variance = m2_ / weight_;
    return m3_ / weight_ / (variance * std::sqrt(variance));
}

std::optional<double> Moments::kurtosis() const {
    if (!(m2_ > 0)) return std::nullopt;
    const double variance = m2_ / weight_;
    return m4_ / weight_ / (variance * variance);
}

}  // namespace signalbox::sketch
