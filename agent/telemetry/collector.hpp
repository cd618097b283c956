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
//
// A pass reads each instrument of each process once, sees that the arbiter has not begun to fold meanwhile, and
// only then takes what it read for seen. A pass that meets a fold ends there; what it had seen by then is kept
// for the tick that a later pass completes. When a process is gone, what was seen of it counts as seen of the
// retired totals, which it is part of from then on: so their increase is what nobody saw.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "agent/telemetry/quarantine.hpp"
#include "agent/telemetry/recorded.hpp"
#include "agent/telemetry/view.hpp"
#include "common/sketch/heavy_hitters.hpp"

namespace signalbox::telemetry {

class Collector {
public:
    explicit Collector(const SegmentView& view) : view_(view) {}

    /// Instruments that have appeared since the last call.
    std::vector<wire::Instrument> new_instruments();

    /// The change since the last call, at worker granularity. The first call's covers everything so far and
    /// is marked absolute. While the arbiter keeps folding (bounded retries) the tick has no series and what
    /// it would have said comes with the next. A seat that cannot be believed has no series until it can.
    wire::Tick collect();

    /// Totals of the group and of each worker as of the last collect().
    wire::Tick absolute() const;

    /// All that was ever recorded by any process of the group, exactly; as of the last collect() but for `keys`.
    struct Total {
        const CheckedEntry& entry;
        std::uint64_t count;                       ///< of a counter
        std::span<const Recorded::Side> sides;     ///< of a distribution; a signed one has two
        std::optional<sketch::HeavyHitters> keys;  ///< none while the arbiter folds
    };
    /// Calls `visit` for each counter, distribution and all heavy hitters.
    void visit_totals(const std::function<void(const Total&)>& visit) const;

private:
    struct Known {
        CheckedEntry entry;
        std::size_t place = 0;  ///< of its word or sides in a Recorded
    };
    /// A process; or all that are gone, together with the arbiter, whose records are nobody's in particular.
    struct Source {
        std::uint64_t generation = 0;
        std::uint32_t slot = 0;
        bool believed = true;
        const std::byte* gauges = nullptr;  ///< the lane that has them, unless it is untouched
        Recorded seen;
        std::vector<wire::Sample> unsent;  ///< in the order of known_
    };
    using Lanes = std::vector<const std::byte*>;

    void learn_instruments();
    bool pass();
    /// Nobody has begun to fold since the pass began.
    bool undisturbed() const;
    bool advance(Source& source, const Lanes& lanes);
    /// False if it was disturbed.
    bool advance(const Known& known, Source& source, const Lanes& lanes, std::vector<wire::Sample>& change);
    Lanes touched_lanes(unsigned seat) const;
    void keep(std::vector<wire::Sample>& unsent, std::vector<wire::Sample> more) const;
    void depart(const Source& source);
    /// As of the last look; none of one whose last value counts and that nobody has set.
    std::optional<wire::GaugeValue> gauge_value(const Known& known, const Source& source) const;
    std::vector<wire::Sample> totals(const Source& source, bool with_gauges) const;
    /// Calls `visit(lane)` with the retired lane and every one that is in use and not folded into it.
    template <class Visit>
    void for_each_lane(Visit visit) const;
    wire::DistinctCount distinct_count(const CheckedEntry& known) const;
    sketch::HeavyHitters heavy_hitters(const CheckedEntry& known) const;
    wire::TopKeys top_keys(const CheckedEntry& known) const;
    /// Keeps the former ones while the arbiter folds without a pause.
    void collect_group_samples();
    void fill_state(wire::Tick& tick) const;

    const SegmentView& view_;
    std::vector<Known> known_;
    std::size_t words_ = 0;  ///< that known_ has places for
    std::size_t sides_ = 0;
    CellScreen screen_;
    std::uint32_t next_entry_ = 0;        ///< every entry below is known or pending
    std::vector<std::uint32_t> pending_;  ///< claimed, not ready: about to be, or their claimant died
    std::size_t announced_ = 0;
    std::map<unsigned, Source> seats_;
    Source departed_;
    /// Above and below zero; scratch memory.
    std::unique_ptr<std::array<SideReading, 2>> readings_ = std::make_unique<std::array<SideReading, 2>>();
    std::uint64_t sequence_ = 0;               ///< of folds, as the pass began
    std::vector<wire::Sample> group_samples_;  ///< what is known of the group as a whole only
    std::uint64_t number_ = 0;
    std::uint64_t last_ns_ = 0;
};

}  // namespace signalbox::telemetry
