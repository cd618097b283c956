// From the segment to ticks: what changed since the last look, per worker, with nothing lost when workers
// come and go.
//
//     Collector collector(view);
//     std::vector<wire::Instrument> fresh = collector.new_instruments();
//     wire::Tick tick = collector.collect();        // every second, say
//     wire::Tick all = collector.absolute();        // totals as of that tick
//
// The sum over the series of all ticks equals the group's totals exactly: what a worker recorded between the
// last tick and its end appears in the series `departed`. Finest scale; the caller reduces it. Not
// thread-safe.
#pragma once

#include <map>
#include <vector>

#include "agent/telemetry/cells.hpp"
#include "agent/telemetry/quarantine.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::telemetry {

class Collector {
public:
    explicit Collector(const SegmentView& view) : view_(view) {}

    /// Instruments that have appeared since the last call.
    std::vector<wire::Instrument> new_instruments();

    /// The change since the last call, at worker granularity. The first call's covers everything so far and
    /// is marked absolute. While the arbiter keeps folding (bounded retries) the tick has no series and what
    /// it would have said comes with the next.
    wire::Tick collect();

    /// Totals of the group and of each worker as of the last collect().
    wire::Tick absolute() const;

private:
    /// What one process, or the retired lane, has recorded: per instrument, by position in known_.
    struct Recorded {
        std::uint64_t generation = 0;
        std::uint32_t slot = 0;
        std::vector<std::uint64_t> words;  ///< of counters and gauges
        std::vector<DistributionTotals> distributions;
    };
    struct Snapshot {
        Recorded retired;
        std::map<unsigned, Recorded> seats;
    };

    void learn_instruments();
    bool take(Snapshot& snapshot) const;
    void add_lane(const std::byte* lane, Recorded& into, bool with_gauges) const;
    /// What changed; in the order of known_.
    std::vector<wire::Sample> samples(const Recorded& now, const Recorded& before, bool gauges) const;
    static void accumulate(Recorded& into, const Recorded& from);
    /// Calls `visit(lane)` with the retired lane and every one that is in use and not folded into it.
    template <class Visit>
    void for_each_lane(Visit visit) const;
    wire::DistinctCount distinct_count(const CheckedEntry& known) const;
    wire::TopKeys top_keys(const CheckedEntry& known) const;
    /// Keeps the former ones while the arbiter folds without a pause.
    void collect_group_samples();
    void fill_state(wire::Tick& tick) const;

    const SegmentView& view_;
    std::vector<CheckedEntry> known_;
    CellScreen screen_;
    std::uint32_t next_entry_ = 0;        ///< every entry below is known or pending
    std::vector<std::uint32_t> pending_;  ///< claimed, not ready: about to be, or their claimant died
    std::size_t announced_ = 0;
    Snapshot last_;
    std::vector<wire::Sample> group_samples_;  ///< what is known of the group as a whole only
    std::uint64_t number_ = 0;
    std::uint64_t last_ns_ = 0;
};

}  // namespace signalbox::telemetry
