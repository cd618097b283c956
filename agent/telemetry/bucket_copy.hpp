// The bucket counts of one distribution, of several lanes, read at once and added up.
//
//     BucketCopy copy;
//     for (const std::byte* lane : lanes) copy.add(lane, cell);
//     sketch::BucketRun increase = copy.advance(seen);       // if nothing has moved meanwhile
//
// Every word of a lane is read once, into memory that stays in the processor's cache, so that what was read can
// be checked against a sequence number before anything is made of it. Only buckets between the recorded
// extremes are read: untouched pages stay so, and a damaged head cannot ask for more than all buckets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/sketch/bucket_run.hpp"
#include "signalbox/detail/lane.hpp"

namespace signalbox::telemetry {

/// What one bucket counts, without a timer's record that waits. Exact also if its writer died while it carried.
std::uint64_t count_of(const detail::DistributionHead& head, const detail::DistributionBuckets& buckets,
                       std::uint32_t bucket);

/// Of a distribution's minimum or maximum, as read; of one beyond all buckets the outermost one on its side.
std::uint32_t bucket_of_extreme(const detail::DistributionCell& cell, std::uint64_t ticks);

/// Some 150 KB; make it once.
class BucketCopy {
public:
    // Nothing in the arrays has a meaning yet, and clearing them would take longer than reading a lane.
    BucketCopy() noexcept {}  // NOLINT(modernize-use-equals-default)

    void clear();
    /// Adds what lane `base` holds. Exact also while its writer carries a bucket, and if it died at that.
    void add(const std::byte* base, const detail::DistributionCell& cell);

    /// `seen`, whose buckets are those of scale 7, becomes what was read; returns its growth.
    sketch::BucketRun advance(sketch::BucketRun& seen) const;

    /// What was read reaches over [first(), first() + size()), counted from 0 = sketch::kFirstBucket.
    std::uint32_t first() const { return first_; }
    std::uint32_t size() const { return end_ - first_; }
    std::uint64_t count(std::uint32_t bucket) const { return wide_ ? sums_[bucket] : narrow_sums_[bucket]; }

private:
    bool read(const detail::DistributionHead& head, const detail::DistributionBuckets& buckets,
              std::uint32_t first, std::uint32_t end, std::uint32_t* into);
    void cover(std::uint32_t first, std::uint32_t end);
    void widen();

    template <class Count>
    using PerBucket = std::array<Count, sketch::kBucketCount>;

    std::uint32_t first_ = 0;
    std::uint32_t end_ = 0;
    bool wide_ = false;  ///< the sums are in sums_, since 32 bits may not be enough
    alignas(std::uint64_t) PerBucket<std::uint32_t> narrow_sums_;  // copied to in pairs
    PerBucket<std::uint64_t> sums_;
    alignas(std::uint64_t) PerBucket<std::uint32_t> counts_;  ///< of one lane
    PerBucket<std::uint16_t> carries_;
};

}  // namespace signalbox::telemetry
