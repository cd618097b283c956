#include "common/sketch/bucket_run.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "common/sketch/exponential_buckets.hpp"

// The loops over counts are as plain as they are so that the compiler makes vector instructions of them; see
// CMakeLists.txt.

namespace signalbox::sketch {
namespace {

/// Has the same highest bit as the largest.
template <class Count>
Count all_bits(std::span<const Count> counts) {
    Count bits = 0;
    for (const Count count : counts)
        bits |= count;
    return bits;
}

template <class Into, class From>
void copy_saturated(Into* into, const From* from, std::size_t size) {
    constexpr std::uint64_t most = std::numeric_limits<Into>::max();
    for (std::size_t i = 0; i < size; ++i)
        into[i] = static_cast<Into>(sizeof(From) <= sizeof(Into) || from[i] <= most ? from[i] : most);
}

/// Both ends cut back to what is not zero; `first` moves along.
template <class Count>
std::span<const Count> trimmed(int& first, std::span<const Count> counts) {
    while (!counts.empty() && counts.back() == 0)
        counts = counts.first(counts.size() - 1);
    while (!counts.empty() && counts.front() == 0) {
        counts = counts.subspan(1);
        ++first;
    }
    return counts;
}

template <class Into, class From>
bool would_overflow(const Into* into, const From* from, std::size_t size) {
    Into overflown = 0;
    for (std::size_t i = 0; i < size; ++i)
        overflown |= static_cast<Into>(static_cast<Into>(into[i] + from[i]) < into[i]);
    return overflown != 0;
}

/// `seen` becomes `now`; `grown` is by how much it has grown.
template <class Seen, class Count>
void advance_each(Seen* __restrict seen, const Count* __restrict now, Count* __restrict grown,
                  std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
        const Count before = static_cast<Count>(seen[i]);
        grown[i] = now[i] > before ? static_cast<Count>(now[i] - before) : Count{0};
        seen[i] = static_cast<Seen>(now[i]);
    }
}

}  // namespace

void BucketRun::reach(int first, int last) {
    std::visit(
        [&](auto& counts) {
            if (counts.empty()) first_ = first;
            const int old_last = first_ + static_cast<int>(counts.size()) - 1;
            if (first < first_) {
                counts.insert(counts.begin(), static_cast<std::size_t>(first_ - first), 0);
                first_ = first;
            }
            if (last > old_last) counts.resize(static_cast<std::size_t>(last - first_) + 1);
        },
        counts_);
}

void BucketRun::widen_for(std::uint64_t count) {
    const auto widen = [this]<class Into>(Into) {
        std::visit([this](const auto& counts) { counts_ = std::vector<Into>(counts.begin(), counts.end()); },
                   Counts(counts_));
    };
    if (count > UINT32_MAX && counts_.index() < 3) return widen(std::uint64_t{});
    if (count > UINT16_MAX && counts_.index() < 2) return widen(std::uint32_t{});
    if (count > UINT8_MAX && counts_.index() < 1) return widen(std::uint16_t{});
}

void BucketRun::add(int index, std::uint64_t count) {
    if (count == 0) return;
    reach(index, index);
    const auto position = static_cast<std::size_t>(index - first_);
    const std::uint64_t sum = (*this)[position] + count;
    widen_for(sum);
    std::visit([&]<class Count>(std::vector<Count>& counts) { counts[position] = static_cast<Count>(sum); },
               counts_);
}

void BucketRun::add(const BucketRun& finer, int shift) {
    if (finer.empty()) return;
    if (shift > 0) {
        const int first = finer.first() >> shift;
        std::vector<std::uint64_t> coarse(static_cast<std::size_t>((finer.last() >> shift) - first) + 1);
        std::visit(
            [&](const auto& counts) {
                for (std::size_t i = 0; i < counts.size(); ++i)
                    coarse[static_cast<std::size_t>(((finer.first_ + static_cast<int>(i)) >> shift) -
                                                    first)] += counts[i];
            },
            finer.counts_);
        BucketRun reduced;
        reduced.assign(first, std::span<const std::uint64_t>(coarse));
        return add(reduced, 0);
    }
    if (&finer == this) return add(BucketRun(finer), 0);
    if (empty()) {
        *this = finer;
        return;
    }
    constexpr std::array<std::uint64_t, 4> largest{UINT8_MAX, UINT16_MAX, UINT32_MAX, UINT64_MAX};
    reach(finer.first(), finer.last());
    widen_for(largest[finer.counts_.index()]);
    const auto offset = static_cast<std::size_t>(finer.first_ - first_);
    const auto add_each = [offset]<class Into, class From>(std::vector<Into>& into,
                                                           const std::vector<From>& from) {
        if constexpr (sizeof(From) <= sizeof(Into)) {
            Into* const ours = into.data() + offset;
            if (sizeof(Into) < 8 && would_overflow(ours, from.data(), from.size())) return false;
            for (std::size_t i = 0; i < from.size(); ++i)
                ours[i] = static_cast<Into>(ours[i] + from[i]);
        }
        return true;
    };
    if (std::visit(add_each, counts_, finer.counts_)) return;
    widen_for(largest[counts_.index()] + 1);
    std::visit(add_each, counts_, finer.counts_);
}

void BucketRun::subtract(const BucketRun& part) {
    std::vector<std::uint64_t> rest(size());
    for (std::size_t i = 0; i < rest.size(); ++i) {
        const std::uint64_t less = part.count(first_ + static_cast<int>(i));
        rest[i] = (*this)[i] > less ? (*this)[i] - less : 0;
    }
    assign(first_, std::span<const std::uint64_t>(rest));
}

/// Of what was outside the new shape nothing is kept, of what does not fit as much as does.
void BucketRun::take_shape(int first, std::size_t size, std::uint64_t largest) {
    const std::size_t width = largest > UINT32_MAX ? 3 : largest > UINT16_MAX ? 2 : largest > UINT8_MAX;
    if (first == first_ && size == this->size() && width == counts_.index()) return;
    Counts shaped;
    if (width == 0) shaped.emplace<0>(size);
    if (width == 1) shaped.emplace<1>(size);
    if (width == 2) shaped.emplace<2>(size);
    if (width == 3) shaped.emplace<3>(size);
    const int from = std::max(first, first_);
    const int to = std::min(first + static_cast<int>(size) - 1, last());
    if (from <= to)
        std::visit(
            [&](auto& into, const auto& counts) {
                copy_saturated(into.data() + (from - first), counts.data() + (from - first_),
                               static_cast<std::size_t>(to - from) + 1);
            },
            shaped, counts_);
    first_ = first;
    counts_ = std::move(shaped);
}

template <class Count>
void BucketRun::assign(int first, std::span<const Count> counts) {
    counts = trimmed(first, counts);
    *this = {};
    if (counts.empty()) return;
    take_shape(first, counts.size(), all_bits(counts));
    std::visit([&](auto& into) { copy_saturated(into.data(), counts.data(), counts.size()); }, counts_);
}

template <class Count>
BucketRun BucketRun::advance(int first, std::span<const Count> counts) {
    counts = trimmed(first, counts);
    BucketRun increase;
    if (counts.empty()) {
        *this = {};
        return increase;
    }
    // Saturated, what was larger than anything is now does not look as if it had grown.
    take_shape(first, counts.size(), all_bits(counts));
    std::array<Count, kBucketCount> grown_here;  // of any sketch at the finest scale
    std::vector<Count> grown_beyond;
    Count* grown = grown_here.data();
    if (counts.size() > grown_here.size()) {
        grown_beyond.resize(counts.size());
        grown = grown_beyond.data();
    }
    std::visit([&](auto& seen) { advance_each(seen.data(), counts.data(), grown, counts.size()); }, counts_);
    increase.assign(first, std::span<const Count>(grown, counts.size()));
    return increase;
}

BucketRun BucketRun::advance_to(int first, std::span<const std::uint32_t> counts) {
    return advance(first, counts);
}

BucketRun BucketRun::advance_to(int first, std::span<const std::uint64_t> counts) {
    return advance(first, counts);
}

std::uint64_t BucketRun::count_up_to(int index) const {
    return std::visit(
        [&](const auto& counts) {
            const int buckets = std::clamp(index - first_ + 1, 0, static_cast<int>(counts.size()));
            return std::accumulate(counts.begin(), counts.begin() + buckets, std::uint64_t{0});
        },
        counts_);
}

}  // namespace signalbox::sketch
