// The last ten minutes of one group, tick by tick, and the questions that a chart asks of them.
//
//     TickHistory history;
//     history.addDirectory(directory);
//     history.addTick(tick);
//     const auto latency = history.instruments("http_request_duration_seconds");
//     auto p99 = history.merged(latency, Selection::slot(2), history.last(1min)).quantile(0.99);
//     TimeSeries line = history.quantileSeries(latency, 0.99, Selection::group(), history.last(5min), 300);
//
// Quantiles are always taken from merged sketches, never from other quantiles. What did not arrive is a gap
// (a point without a value), never zero. Absolute ticks set totals and the current workers; they are part of
// no series. Not thread-safe. Memory is bounded by kSpan and kMostTicks.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/wire/messages.hpp"

namespace signalbox::console {

using sketch::ExponentialHistogram;
using wire::WallTime;

/// `value` is missing where data are.
struct TimePoint {
    WallTime time;
    std::optional<double> value;
    friend bool operator==(const TimePoint&, const TimePoint&) = default;
};
using TimeSeries = std::vector<TimePoint>;

/// From exclusive, to inclusive.
struct TimeRange {
    WallTime from;
    WallTime to;
};

/// Which workers are meant. The whole group includes those that have departed.
class Selection {
public:
    static Selection group() { return {}; }
    static Selection slot(std::uint32_t slot) { return slots({slot}); }
    static Selection slots(std::vector<std::uint32_t> slots);
    /// One very process: not its predecessor in the slot, nor its successor.
    static Selection process(std::uint64_t generation);

    bool wholeGroup() const { return !slots_ && !generation_; }
    bool includes(const wire::Series& series) const;
    bool includes(const wire::Worker& worker) const;
    /// Whether the tick knows at least one of the selected workers.
    bool presentIn(const wire::Tick& tick) const;

private:
    bool includes(std::uint32_t slot, std::uint64_t generation) const;

    std::optional<std::vector<std::uint32_t>> slots_;
    std::optional<std::uint64_t> generation_;
};

class TickHistory {
public:
    static constexpr std::chrono::minutes kSpan{10};
    static constexpr std::size_t kMostTicks = 6000;

    using Instruments = std::vector<std::uint32_t>;

    void addDirectory(const wire::Directory& directory);
    /// False if the tick is older than what is known (a repetition after reconnecting) and was dropped.
    bool addTick(std::shared_ptr<const wire::Tick> tick);
    /// Forgets everything: the group has restarted and instruments mean something else now.
    void clear();

    bool empty() const { return !latest_; }
    /// The newest tick, absolute or not; it says which workers there are. Null before the first.
    const wire::Tick* latest() const { return latest_.get(); }
    std::size_t tickCount() const { return ticks_.size(); }
    /// The range that ends with the newest tick.
    TimeRange last(std::chrono::nanoseconds span) const;

    /// All instruments of that name; with `label`, those that carry that label and value.
    Instruments instruments(std::string_view name) const;
    Instruments instruments(std::string_view name, std::string_view label, std::string_view value) const;

    /// Since the group started; none until an absolute tick has come.
    std::optional<std::uint64_t> total(const Instruments& counters) const;

    ExponentialHistogram merged(const Instruments& distributions, const Selection&, TimeRange) const;
    /// Increase per second over the part of the range that was observed; none if nothing was.
    std::optional<double> rate(const Instruments& counters, const Selection&, TimeRange) const;

    /// At most about `points` values, each over as many ticks as that takes; one empty point per gap.
    TimeSeries rateSeries(const Instruments& counters, const Selection&, TimeRange, std::size_t points) const;
    TimeSeries quantileSeries(const Instruments& distributions, double q, const Selection&, TimeRange,
                              std::size_t points) const;
    /// Several quantiles of the same merged sketches.
    std::vector<TimeSeries> quantileSeries(const Instruments& distributions, const std::vector<double>& qs,
                                           const Selection&, TimeRange, std::size_t points) const;
    /// Summed or maxed over the workers as the instrument declares; the last value of each point's ticks.
    TimeSeries gaugeSeries(std::uint32_t instrument, const Selection&, TimeRange, std::size_t points) const;
    /// A property of the workers themselves; `combine` folds the selected ones, the largest tick value is
    /// kept.
    using WorkerValue = std::function<double(const wire::Worker&)>;
    enum class Combine { sum, max };
    TimeSeries workerSeries(const WorkerValue& value, Combine combine, const Selection&, TimeRange,
                            std::size_t points) const;

private:
    struct Entry {
        std::shared_ptr<const wire::Tick> tick;
        bool gapBefore = false;
        /// Group-wide merges, made when first asked for: a chart of the whole group asks for each many times.
        mutable std::map<std::uint32_t, ExponentialHistogram> merged;
    };
    using Run = std::vector<const Entry*>;

    std::vector<const Entry*> within(TimeRange range) const;
    /// Calls `value` with runs of adjacent ticks and strings the answers together, with the gaps.
    void eachRun(TimeRange range, std::size_t points, const Selection& selection,
                 const std::function<void(WallTime, const Run&)>& visit) const;
    void mergeInto(ExponentialHistogram& into, const Entry& entry, std::uint32_t instrument,
                   const Selection& selection) const;
    static std::uint64_t increase(const wire::Tick& tick, const Instruments& counters,
                                  const Selection& selection);
    void addToTotals(const wire::Tick& tick);
    void trim();

    std::map<std::uint32_t, wire::Instrument> directory_;
    std::deque<Entry> ticks_;
    std::shared_ptr<const wire::Tick> latest_;
    std::optional<std::map<std::uint32_t, std::uint64_t>> totals_;
};

}  // namespace signalbox::console
