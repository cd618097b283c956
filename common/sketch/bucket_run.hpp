// Counts of consecutive buckets, kept from the first to the last that was ever counted in, each in as few
// bytes as the largest of them needs.
//
//     BucketRun run;
//     run.add(-17, 3);
//     run.add(finer, 2);                     // merges four buckets of `finer` into one
//     BucketRun fresh = seen.advance_to(first, counts);   // what a growing histogram has grown by
//
// Most histograms are the change of a second, whose buckets hold less than 256 each. With a byte for each an
// agent that reads thousands of them works in its cache, and a console keeps eight times as many of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

namespace signalbox::sketch {

/// A value type; not thread-safe.
class BucketRun {
public:
    void add(int index, std::uint64_t count);
    /// Adds each bucket `index` of `finer` to bucket `index >> shift`.
    void add(const BucketRun& finer, int shift);
    /// Takes away as many as `part` has of each bucket, and from one that has less, all.
    void subtract(const BucketRun& part);
    /// Becomes `counts`, of which the first is that of bucket `first`, and returns what each bucket has grown
    /// by. One that has fallen has not grown.
    BucketRun advance_to(int first, std::span<const std::uint32_t> counts);
    BucketRun advance_to(int first, std::span<const std::uint64_t> counts);

    bool empty() const { return size() == 0; }
    std::size_t size() const {
        return std::visit([](const auto& counts) { return counts.size(); }, counts_);
    }
    /// While it is empty, `last()` is less than `first()`.
    int first() const { return first_; }
    int last() const { return first_ + static_cast<int>(size()) - 1; }
    /// Of bucket `first() + position`; `position` is less than size().
    std::uint64_t operator[](std::size_t position) const {
        return std::visit([position](const auto& counts) { return std::uint64_t{counts[position]}; },
                          counts_);
    }
    std::uint64_t front() const { return (*this)[0]; }
    std::uint64_t back() const { return (*this)[size() - 1]; }
    /// Of any bucket; 0 outside.
    std::uint64_t count(int index) const {
        return index < first_ || index > last() ? 0 : (*this)[static_cast<std::size_t>(index - first_)];
    }
    /// Of bucket `index` and all below it.
    std::uint64_t count_up_to(int index) const;
    std::uint64_t total() const { return count_up_to(last()); }
    /// Calls `visit(counts)` once, with a std::vector of some unsigned type: for loops over all of them.
    template <class Visit>
    decltype(auto) with_counts(Visit visit) const {
        return std::visit(visit, counts_);
    }

    friend bool operator==(const BucketRun&, const BucketRun&) = default;

private:
    /// As many types as there are, so that equal runs have the same one: the smallest that holds all counts.
    using Counts = std::variant<std::vector<std::uint8_t>, std::vector<std::uint16_t>,
                                std::vector<std::uint32_t>, std::vector<std::uint64_t>>;

    void reach(int first, int last);
    void widen_for(std::uint64_t count);
    void take_shape(int first, std::size_t size, std::uint64_t largest);
    template <class Count>
    void assign(int first, std::span<const Count> counts);
    template <class Count>
    BucketRun advance(int first, std::span<const Count> counts);

    int first_ = 0;
    Counts counts_;
};

}  // namespace signalbox::sketch
