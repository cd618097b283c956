// Counts of consecutive buckets, kept from the first to the last that was ever counted in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace signalbox::sketch {

/// A value type; not thread-safe.
class BucketRun {
public:
    void add(int index, std::uint64_t count);
    /// Adds each bucket `index` of `finer` to bucket `index >> shift`.
    void add(const BucketRun& finer, int shift);

    bool empty() const { return counts_.empty(); }
    /// While it is empty, `last()` is less than `first()`.
    int first() const { return first_; }
    int last() const { return first_ + static_cast<int>(counts_.size()) - 1; }
    /// Of any bucket; 0 outside.
    std::uint64_t count(int index) const {
        return index < first_ || index > last() ? 0 : counts_[static_cast<std::size_t>(index - first_)];
    }
    /// Of bucket `index` and all below it.
    std::uint64_t count_up_to(int index) const;
    std::uint64_t total() const { return count_up_to(last()); }
    const std::vector<std::uint64_t>& counts() const { return counts_; }

    friend bool operator==(const BucketRun&, const BucketRun&) = default;

private:
    void cover(int first, int last);

    int first_ = 0;
    std::vector<std::uint64_t> counts_;
};

}  // namespace signalbox::sketch
