// What one process has recorded as of the last look, and what it has recorded since.
//
//     Recorded seen;
//     seen.reach(words, sides);
//     std::uint64_t increase = seen.advance_word(0, now);                   // of a counter
//     ExponentialHistogram change = seen.advance(0, readings, units_per_tick);   // of a distribution
//     rest.take_over(seen);                                                 // the process is gone
//
// Words (of counters and gauges) and sides (of distributions; a signed one has two, one behind the other) have
// places that the owner gives out. What cannot be, a number that fell, counts as no change.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "agent/telemetry/bucket_copy.hpp"
#include "agent/telemetry/cells.hpp"
#include "common/sketch/exponential_histogram.hpp"

namespace signalbox::telemetry {

/// One side of a distribution as it was just read, of all lanes.
struct SideReading {
    SideHead head;
    std::uint64_t nans = 0;
    BucketCopy buckets;

    void clear();
    void add(const std::byte* base, const detail::DistributionCell& cell);
};

class Recorded {
public:
    struct Side {
        SideHead head;
        std::uint64_t nans = 0;
        sketch::BucketRun counts;
    };

    /// Makes room.
    void reach(std::size_t words, std::size_t sides);

    /// 0 where there was no room yet.
    std::uint64_t word(std::size_t place) const { return place < words_.size() ? words_[place] : 0; }
    void set_word(std::size_t place, std::uint64_t value) { words_[place] = value; }
    /// The word becomes `now`; returns by how much it has grown.
    std::uint64_t advance_word(std::size_t place, std::uint64_t now);

    /// The distribution whose sides are at `place` becomes what was read; returns the change, in units. Its
    /// extremes are known if nothing was recorded before.
    sketch::ExponentialHistogram advance(std::size_t place, std::span<const SideReading> now,
                                         double units_per_tick);
    /// All of it, in units; nothing where there was no room yet.
    sketch::ExponentialHistogram total(std::size_t place, std::size_t sides, double units_per_tick) const;

    /// All of it, as it is counted; none where there was no room yet.
    std::span<const Side> sides(std::size_t place, std::size_t count) const;

    /// Adds what a process that is gone had recorded.
    void take_over(const Recorded& departed);

private:
    std::vector<std::uint64_t> words_;
    std::vector<Side> sides_;
};

/// There is something in it. A sum alone is: who looks between the two stores of a record sees it before its
/// count, or finds it in the next.
bool tells(const sketch::ExponentialHistogram& change);

}  // namespace signalbox::telemetry
