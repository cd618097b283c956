#include "console/store/tick_history.hpp"

#include <algorithm>
#include <cmath>

#include "common/wire/readable.hpp"

namespace signalbox::console {
namespace {

bool contains(const TickHistory::Instruments& instruments, std::uint32_t index) {
    return std::find(instruments.begin(), instruments.end(), index) != instruments.end();
}

/// Ticks are not punctual; half a tick without cover is a hole.
bool leavesHole(const wire::Tick& before, const wire::Tick& after) {
    if (after.number != before.number + 1) return true;
    return after.end - after.length > before.end + after.length / 2;
}

}  // namespace

Selection Selection::slots(std::vector<std::uint32_t> slots) {
    Selection selection;
    selection.slots_ = std::move(slots);
    return selection;
}

Selection Selection::process(std::uint64_t generation) {
    Selection selection;
    selection.generation_ = generation;
    return selection;
}

bool Selection::includes(std::uint32_t slot, std::uint64_t generation) const {
    if (generation_ && generation != *generation_) return false;
    return !slots_ || std::find(slots_->begin(), slots_->end(), slot) != slots_->end();
}

bool Selection::includes(const wire::Series& series) const {
    if (wholeGroup()) return true;
    return series.source == wire::Series::Source::worker && includes(series.slot, series.generation);
}

bool Selection::includes(const wire::Worker& worker) const {
    return includes(worker.slot, worker.generation);
}

bool Selection::presentIn(const wire::Tick& tick) const {
    if (wholeGroup()) return true;
    return std::any_of(tick.workers.begin(), tick.workers.end(),
                       [this](const auto& w) { return includes(w); }) ||
           std::any_of(tick.series.begin(), tick.series.end(), [this](const auto& s) { return includes(s); });
}

void TickHistory::addDirectory(const wire::Directory& directory) {
    for (const auto& instrument : directory.instruments)
        directory_[instrument.index] = instrument;
}

bool TickHistory::addTick(std::shared_ptr<const wire::Tick> tick) {
    if (tick->absolute) {
        totals_.emplace();
        addToTotals(*tick);
        if (!latest_ || tick->end >= latest_->end) latest_ = std::move(tick);
        return true;
    }
    if (!ticks_.empty() && tick->end <= ticks_.back().tick->end) return false;
    const bool gap = !ticks_.empty() && leavesHole(*ticks_.back().tick, *tick);
    // A delta that the absolute tick already contains must not count twice.
    if (totals_ && (!latest_ || tick->end > latest_->end)) addToTotals(*tick);
    if (!latest_ || tick->end >= latest_->end) latest_ = tick;
    ticks_.push_back({.tick = std::move(tick), .gapBefore = gap, .merged = {}});
    trim();
    return true;
}

void TickHistory::trim() {
    const WallTime oldest = ticks_.back().tick->end - kSpan;
    while (ticks_.size() > kMostTicks || ticks_.front().tick->end <= oldest)
        ticks_.pop_front();
}

void TickHistory::addToTotals(const wire::Tick& tick) {
    for (const auto& series : tick.series)
        for (const auto& sample : series.samples)
            if (const auto* delta = std::get_if<wire::CounterDelta>(&sample.value))
                (*totals_)[sample.instrument] += delta->increase;
}

void TickHistory::clear() {
    *this = {};
}

TimeRange TickHistory::last(std::chrono::nanoseconds span) const {
    const WallTime to = latest_ ? latest_->end : WallTime{};
    return {to - span, to};
}

TickHistory::Instruments TickHistory::instruments(std::string_view name) const {
    Instruments found;
    for (const auto& [index, instrument] : directory_)
        if (instrument.name == name) found.push_back(index);
    return found;
}

TickHistory::Instruments TickHistory::instruments(std::string_view name, std::string_view label,
                                                  std::string_view value) const {
    Instruments found;
    for (const auto index : instruments(name)) {
        const auto& labels = directory_.at(index).labels;
        if (std::any_of(labels.begin(), labels.end(),
                        [&](const auto& pair) { return pair.first == label && pair.second == value; }))
            found.push_back(index);
    }
    return found;
}

std::optional<std::uint64_t> TickHistory::total(const Instruments& counters) const {
    if (!totals_) return std::nullopt;
    std::uint64_t sum = 0;
    for (const auto index : counters)
        if (const auto found = totals_->find(index); found != totals_->end()) sum += found->second;
    return sum;
}

std::vector<const TickHistory::Entry*> TickHistory::within(TimeRange range) const {
    auto first = std::upper_bound(ticks_.begin(), ticks_.end(), range.from,
                                  [](WallTime time, const Entry& entry) { return time < entry.tick->end; });
    std::vector<const Entry*> found;
    for (; first != ticks_.end() && first->tick->end <= range.to; ++first)
        found.push_back(&*first);
    return found;
}

void TickHistory::mergeInto(ExponentialHistogram& into, const Entry& entry, std::uint32_t instrument,
                            const Selection& selection) const {
    if (selection.wholeGroup()) {
        auto [cached, fresh] = entry.merged.try_emplace(instrument);
        if (fresh)
            for (const auto& series : entry.tick->series)
                for (const auto& sample : series.samples)
                    if (sample.instrument == instrument)
                        if (const auto* part = std::get_if<ExponentialHistogram>(&sample.value))
                            cached->second.merge(*part);
        into.merge(cached->second);
        return;
    }
    for (const auto& series : entry.tick->series) {
        if (!selection.includes(series)) continue;
        for (const auto& sample : series.samples)
            if (sample.instrument == instrument)
                if (const auto* part = std::get_if<ExponentialHistogram>(&sample.value)) into.merge(*part);
    }
}

ExponentialHistogram TickHistory::merged(const Instruments& distributions, const Selection& selection,
                                         TimeRange range) const {
    ExponentialHistogram all;
    for (const auto* entry : within(range))
        for (const auto instrument : distributions)
            mergeInto(all, *entry, instrument, selection);
    return all;
}

std::uint64_t TickHistory::increase(const wire::Tick& tick, const Instruments& counters,
                                    const Selection& selection) {
    std::uint64_t sum = 0;
    for (const auto& series : tick.series) {
        if (!selection.includes(series)) continue;
        for (const auto& sample : series.samples)
            if (const auto* delta = std::get_if<wire::CounterDelta>(&sample.value);
                delta && contains(counters, sample.instrument))
                sum += delta->increase;
    }
    return sum;
}

std::optional<double> TickHistory::rate(const Instruments& counters, const Selection& selection,
                                        TimeRange range) const {
    std::uint64_t sum = 0;
    std::chrono::nanoseconds observed{0};
    for (const auto* entry : within(range)) {
        if (!selection.presentIn(*entry->tick)) continue;
        sum += increase(*entry->tick, counters, selection);
        observed += entry->tick->length;
    }
    if (observed.count() <= 0) return std::nullopt;
    return static_cast<double>(sum) / wire::seconds(observed);
}

void TickHistory::eachRun(TimeRange range, std::size_t points, const Selection& selection,
                          const std::function<void(WallTime, const Run&)>& visit) const {
    const auto entries = within(range);
    if (entries.empty()) return;
    // Runs are cut at multiples of their length in tick numbers, so that they stay the same while the range
    // slides on.
    const auto period = std::max(entries.back()->tick->length, std::chrono::nanoseconds{1});
    const auto expected = static_cast<std::size_t>((range.to - range.from) / period);
    const std::uint64_t perRun =
        std::max<std::size_t>(1, (expected + points - 1) / std::max<std::size_t>(points, 1));

    Run run;
    const auto finish = [&] {
        if (!run.empty()) visit(run.back()->tick->end, run);
        run.clear();
    };
    bool anything = false;
    bool hole = false;
    for (const auto* entry : entries) {
        if (!selection.presentIn(*entry->tick)) {
            hole = true;
            continue;
        }
        hole = hole || entry->gapBefore;
        if (hole || (!run.empty() && run.back()->tick->number / perRun != entry->tick->number / perRun))
            finish();
        if (hole && anything) visit(entry->tick->end - entry->tick->length, {});
        hole = false;
        anything = true;
        run.push_back(entry);
    }
    finish();
}

TimeSeries TickHistory::rateSeries(const Instruments& counters, const Selection& selection, TimeRange range,
                                   std::size_t points) const {
    TimeSeries line;
    eachRun(range, points, selection, [&](WallTime time, const Run& run) {
        std::uint64_t sum = 0;
        std::chrono::nanoseconds observed{0};
        for (const auto* entry : run) {
            sum += increase(*entry->tick, counters, selection);
            observed += entry->tick->length;
        }
        line.push_back({time, std::nullopt});
        if (observed.count() > 0) line.back().value = static_cast<double>(sum) / wire::seconds(observed);
    });
    return line;
}

TimeSeries TickHistory::quantileSeries(const Instruments& distributions, double q, const Selection& selection,
                                       TimeRange range, std::size_t points) const {
    return quantileSeries(distributions, std::vector<double>{q}, selection, range, points).front();
}

std::vector<TimeSeries> TickHistory::quantileSeries(const Instruments& distributions,
                                                    const std::vector<double>& qs, const Selection& selection,
                                                    TimeRange range, std::size_t points) const {
    std::vector<TimeSeries> lines(qs.size());
    eachRun(range, points, selection, [&](WallTime time, const Run& run) {
        ExponentialHistogram merged;
        for (const auto* entry : run)
            for (const auto instrument : distributions)
                mergeInto(merged, *entry, instrument, selection);
        // No request, no latency: an idle second is as empty as a missing one.
        for (std::size_t i = 0; i < qs.size(); ++i)
            lines[i].push_back({time, merged.quantile(qs[i])});
    });
    return lines;
}

TimeSeries TickHistory::gaugeSeries(std::uint32_t instrument, const Selection& selection, TimeRange range,
                                    std::size_t points) const {
    const auto declared = directory_.find(instrument);
    const auto aggregation =
        declared == directory_.end() ? wire::Aggregation::sum : declared->second.aggregation;
    TimeSeries line;
    eachRun(range, points, selection, [&](WallTime time, const Run& run) {
        line.push_back({time, std::nullopt});
        if (run.empty()) return;
        std::optional<wire::GaugeValue> together;
        for (const auto& series : run.back()->tick->series) {
            if (!selection.includes(series)) continue;
            for (const auto& sample : series.samples) {
                const auto* gauge = std::get_if<wire::GaugeValue>(&sample.value);
                if (!gauge || sample.instrument != instrument) continue;
                together = together ? wire::combined(*together, *gauge, aggregation) : *gauge;
            }
        }
        if (together) line.back().value = together->value;
    });
    return line;
}

TimeSeries TickHistory::workerSeries(const WorkerValue& value, Combine combine, const Selection& selection,
                                     TimeRange range, std::size_t points) const {
    TimeSeries line;
    eachRun(range, points, selection, [&](WallTime time, const Run& run) {
        line.push_back({time, std::nullopt});
        for (const auto* entry : run) {
            std::optional<double> folded;
            for (const auto& worker : entry->tick->workers) {
                if (!selection.includes(worker) || worker.state == wire::WorkerState::dead) continue;
                const double one = value(worker);
                folded = !folded ? one : combine == Combine::max ? std::max(*folded, one) : *folded + one;
            }
            auto& highest = line.back().value;
            if (folded) highest = highest ? std::max(*highest, *folded) : *folded;
        }
    });
    return line;
}

}  // namespace signalbox::console
