#include "common/sketch/bucket_run.hpp"

#include <algorithm>
#include <numeric>

namespace signalbox::sketch {

void BucketRun::cover(int first, int last) {
    if (counts_.empty()) first_ = first;
    if (first < first_) {
        counts_.insert(counts_.begin(), static_cast<std::size_t>(first_ - first), 0);
        first_ = first;
    }
    if (last > this->last()) counts_.resize(static_cast<std::size_t>(last - first_) + 1);
}

void BucketRun::add(int index, std::uint64_t count) {
    if (count == 0) return;
    cover(index, index);
    counts_[static_cast<std::size_t>(index - first_)] += count;
}

void BucketRun::add(const BucketRun& finer, int shift) {
    if (finer.empty()) return;
    cover(finer.first() >> shift, finer.last() >> shift);
    for (int index = finer.first(); index <= finer.last(); ++index)
        counts_[static_cast<std::size_t>((index >> shift) - first_)] += finer.count(index);
}

std::uint64_t BucketRun::count_up_to(int index) const {
    const int buckets = std::clamp(index - first_ + 1, 0, static_cast<int>(counts_.size()));
    return std::accumulate(counts_.begin(), counts_.begin() + buckets, std::uint64_t{0});
}

}  // namespace signalbox::sketch
