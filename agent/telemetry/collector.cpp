#include "agent/telemetry/collector.hpp"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "agent/telemetry/distinct_windows.hpp"
#include "agent/telemetry/retire.hpp"
#include "common/sketch/heavy_hitters.hpp"

namespace signalbox::telemetry {
namespace {

using wire::InstrumentKind;

std::uint64_t word_of(const std::byte* lane, const CheckedEntry& entry, std::size_t index = 0) {
    return reinterpret_cast<const detail::Word*>(lane + entry.cell.head_offset)[index].load(
        std::memory_order_relaxed);
}

/// A gauge whose second word is the time when it was set.
bool is_timed(const CheckedEntry& entry) {
    return entry.instrument.kind == InstrumentKind::gauge &&
           entry.instrument.aggregation == wire::Aggregation::last;
}

/// How many places it takes in a Recorded, if it has no sides.
std::size_t words_of(const CheckedEntry& entry) {
    return is_timed(entry) ? 2 : 1;
}

std::size_t sides_of(const CheckedEntry& entry) {
    if (entry.instrument.kind != InstrumentKind::distribution) return 0;
    return entry.cell.is_signed ? 2 : 1;
}

/// A later sample of the same instrument: gauges are replaced, the rest adds up.
void add_sample(wire::Sample& into, wire::Sample&& more) {
    if (auto* counter = std::get_if<wire::CounterDelta>(&into.value))
        counter->increase += std::get<wire::CounterDelta>(more.value).increase;
    else if (auto* histogram = std::get_if<sketch::ExponentialHistogram>(&into.value))
        histogram->merge(std::get<sketch::ExponentialHistogram>(more.value));
    else
        into = std::move(more);
}

void subtract_sample(wire::Sample& from, const wire::Sample& part) {
    if (auto* counter = std::get_if<wire::CounterDelta>(&from.value))
        counter->increase -= std::min(counter->increase, std::get<wire::CounterDelta>(part.value).increase);
    else if (auto* histogram = std::get_if<sketch::ExponentialHistogram>(&from.value))
        histogram->subtract(std::get<sketch::ExponentialHistogram>(part.value));
}

bool is_a_change(const wire::Sample& sample) {
    if (const auto* counter = std::get_if<wire::CounterDelta>(&sample.value)) return counter->increase > 0;
    if (const auto* histogram = std::get_if<sketch::ExponentialHistogram>(&sample.value))
        return tells(*histogram);
    return true;
}

}  // namespace

std::vector<wire::Instrument> Collector::new_instruments() {
    learn_instruments();
    std::vector<wire::Instrument> fresh;
    for (; announced_ < known_.size(); ++announced_)
        fresh.push_back(known_[announced_].entry.instrument);
    return fresh;
}

void Collector::learn_instruments() {
    const auto learn = [this](std::uint32_t index) {
        auto entry = view_.entry(index);
        if (!entry || !screen_.admit(*entry)) return false;
        const std::size_t sides = sides_of(*entry);
        known_.push_back({std::move(*entry), sides > 0 ? sides_ : words_});
        sides_ += sides;
        words_ += sides > 0 ? 0 : words_of(known_.back().entry);
        return true;
    };
    std::erase_if(pending_, learn);
    for (; !view_.entry_is_vacant(next_entry_); ++next_entry_)
        if (!learn(next_entry_)) pending_.push_back(next_entry_);
}

bool Collector::undisturbed() const {
    std::atomic_thread_fence(std::memory_order_acquire);
    return view_.header().fold_sequence.load(std::memory_order_relaxed) == sequence_;
}

bool Collector::advance(const Known& known, Source& source, const Lanes& lanes,
                        std::vector<wire::Sample>& change) {
    const CheckedEntry& entry = known.entry;
    const std::uint32_t index = entry.instrument.index;
    if (entry.instrument.kind == InstrumentKind::counter) {
        std::uint64_t now = 0;
        for (const std::byte* lane : lanes)
            now += word_of(lane, entry);
        if (!undisturbed()) return false;
        if (const std::uint64_t increase = source.seen.advance_word(known.place, now); increase > 0)
            change.push_back({index, wire::CounterDelta{increase}});
    } else if (entry.instrument.kind == InstrumentKind::gauge) {
        if (&source == &departed_) return true;
        const std::uint64_t now = source.gauges ? word_of(source.gauges, entry) : 0;
        const std::uint64_t set_at = source.gauges && is_timed(entry) ? word_of(source.gauges, entry, 1) : 0;
        if (!undisturbed()) return false;
        source.seen.set_word(known.place, now);
        if (is_timed(entry)) source.seen.set_word(known.place + 1, set_at);
        if (const auto gauge = gauge_value(known, source)) change.push_back({index, *gauge});
    } else if (entry.instrument.kind == InstrumentKind::distribution) {
        const std::span readings(readings_->data(), sides_of(entry));
        for (SideReading& side : readings)
            side.clear();
        for (const std::byte* lane : lanes) {
            readings[0].add(lane, entry.cell);
            if (readings.size() == 2) readings[1].add(lane, entry.cell.below_zero());
        }
        if (!undisturbed()) return false;
        auto grown = source.seen.advance(known.place, readings, entry.cell.units_per_tick);
        if (tells(grown)) change.push_back({index, std::move(grown)});
    }
    return true;
}

bool Collector::advance(Source& source, const Lanes& lanes) {
    source.seen.reach(words_, sides_);
    std::vector<wire::Sample> change;
    change.reserve(known_.size());
    bool complete = true;
    for (const Known& known : known_)
        if (!(complete = advance(known, source, lanes, change))) break;
    keep(source.unsent, std::move(change));
    return complete;
}

void Collector::keep(std::vector<wire::Sample>& unsent, std::vector<wire::Sample> more) const {
    if (unsent.empty()) {
        unsent = std::move(more);
        return;
    }
    std::map<std::uint32_t, wire::Sample*> by_instrument;
    for (wire::Sample& sample : more)
        by_instrument.emplace(sample.instrument, &sample);
    std::map<std::uint32_t, wire::Sample*> kept;
    for (wire::Sample& sample : unsent)
        kept.emplace(sample.instrument, &sample);
    std::vector<wire::Sample> merged;
    for (const Known& known : known_) {
        const auto found = kept.find(known.entry.instrument.index);
        const auto added = by_instrument.find(known.entry.instrument.index);
        if (found == kept.end() && added == by_instrument.end()) continue;
        if (found == kept.end()) {
            merged.push_back(std::move(*added->second));
            continue;
        }
        if (added != by_instrument.end()) add_sample(*found->second, std::move(*added->second));
        merged.push_back(std::move(*found->second));
    }
    unsent = std::move(merged);
}

void Collector::depart(const Source& source) {
    departed_.seen.take_over(source.seen);
    std::vector<wire::Sample> unsent = source.unsent;
    std::erase_if(unsent, [](const wire::Sample& sample) {
        return std::holds_alternative<wire::GaugeValue>(sample.value);
    });
    keep(departed_.unsent, std::move(unsent));
}

Collector::Lanes Collector::touched_lanes(unsigned seat) const {
    Lanes lanes;
    const std::uint32_t touched = view_.seat(seat).lanes_touched.load(std::memory_order_acquire);
    for (unsigned lane = 0; lane < view_.geometry().lane_count; ++lane)
        if (touched >> lane & 1) lanes.push_back(view_.lane(seat, lane));
    return lanes;
}

bool Collector::pass() {
    const Header& header = view_.header();
    sequence_ = header.fold_sequence.load(std::memory_order_acquire);
    if (sequence_ % 2 != 0 && !view_.is_still()) return false;  // of a dead folder: see retire.hpp
    const RetiredWord retired = RetiredWord::unpack(header.retired.load(std::memory_order_acquire));
    Lanes departed{view_.retired_lane(retired.active)};

    const unsigned arbiter = view_.geometry().seat_count - 1;
    for (unsigned i = 0; i <= arbiter; ++i) {
        const Seat& seat = view_.seat(i);
        const std::uint64_t generation = seat.generation.load(std::memory_order_acquire);
        const bool gone = seat.pid.load(std::memory_order_acquire) == 0 || retired.names(i, generation);
        const bool believed = seat_fault(view_, i).empty();
        const auto known = seats_.find(i);
        if (!undisturbed()) return false;
        if (known != seats_.end()) {
            known->second.believed = believed;
            if (gone || (believed && known->second.generation != generation)) {
                depart(known->second);
                seats_.erase(known);
            }
        }
        if (gone || !believed) continue;
        const Lanes lanes = touched_lanes(i);
        if (i == arbiter) {
            departed.insert(departed.end(), lanes.begin(), lanes.end());
            continue;
        }
        Source& source = seats_[i];
        source.generation = generation;
        source.slot = i / 2;
        const bool first_is_touched = !lanes.empty() && lanes.front() == view_.lane(i, 0);
        source.gauges = first_is_touched ? lanes.front() : nullptr;
        if (!advance(source, lanes)) return false;
    }
    // Last, when it is known what of the retired totals had been seen before they were retired.
    return advance(departed_, departed) && undisturbed();
}

std::optional<wire::GaugeValue> Collector::gauge_value(const Known& known, const Source& source) const {
    wire::GaugeValue gauge{std::bit_cast<double>(source.seen.word(known.place))};
    if (!is_timed(known.entry)) return gauge;
    const std::uint64_t set_at = source.seen.word(known.place + 1);
    if (set_at == 0) return std::nullopt;
    const std::uint64_t now = view_.now();
    gauge.age = wire::nanoseconds(
        static_cast<std::int64_t>(now > set_at ? std::min<std::uint64_t>(now - set_at, INT64_MAX) : 0));
    return gauge;
}

std::vector<wire::Sample> Collector::totals(const Source& source, bool with_gauges) const {
    std::map<std::uint32_t, const wire::Sample*> unsent;
    for (const wire::Sample& sample : source.unsent)
        unsent.emplace(sample.instrument, &sample);
    std::vector<wire::Sample> samples;
    for (const Known& known : known_) {
        wire::Sample sample{known.entry.instrument.index, {}};
        switch (known.entry.instrument.kind) {
            case InstrumentKind::counter:
                sample.value = wire::CounterDelta{source.seen.word(known.place)};
                break;
            case InstrumentKind::gauge:
                if (const auto gauge = gauge_value(known, source); gauge && with_gauges)
                    sample.value = *gauge;
                else
                    continue;
                break;
            case InstrumentKind::distribution:
                sample.value =
                    source.seen.total(known.place, sides_of(known.entry), known.entry.cell.units_per_tick);
                break;
            default:
                continue;  // group_samples_
        }
        if (const auto found = unsent.find(sample.instrument); found != unsent.end())
            subtract_sample(sample, *found->second);
        if (is_a_change(sample)) samples.push_back(std::move(sample));
    }
    return samples;
}

template <class Visit>
void Collector::for_each_lane(Visit visit) const {
    const RetiredWord retired = RetiredWord::unpack(view_.header().retired.load(std::memory_order_acquire));
    visit(view_.retired_lane(retired.active));
    for (unsigned i = 0; i < view_.geometry().seat_count; ++i) {
        const Seat& seat = view_.seat(i);
        if (retired.names(i, seat.generation.load(std::memory_order_acquire)) ||
            !seat_fault(view_, i).empty())
            continue;
        const std::uint32_t touched = seat.lanes_touched.load(std::memory_order_acquire);
        for (unsigned lane = 0; lane < view_.geometry().lane_count; ++lane)
            if (touched >> lane & 1) visit(view_.lane(i, lane));
    }
}

wire::DistinctCount Collector::distinct_count(const CheckedEntry& known) const {
    DistinctUnion all(known.cell.precision);
    const std::uint64_t now = view_.now();
    const auto add = [&](const std::byte* registers) {
        all.add(*reinterpret_cast<const DistinctBlock*>(registers + known.cell.block_offset), now);
    };
    if (view_.header().retired_registers_touched.load(std::memory_order_acquire) != 0)
        add(view_.retired_registers());
    for (unsigned i = 0; i < view_.geometry().seat_count; ++i)
        if (view_.seat(i).registers_touched.load(std::memory_order_acquire) != 0 &&
            seat_fault(view_, i).empty())
            add(view_.registers(i));
    return {all.ever.estimate(), all.hour.estimate(), all.minute.estimate(),
            all.ever.relative_standard_error()};
}

sketch::HeavyHitters Collector::heavy_hitters(const CheckedEntry& known) const {
    sketch::HeavyHitters all;
    for_each_lane([&](const std::byte* lane) {
        const auto& used = *reinterpret_cast<const detail::Word*>(lane + known.cell.head_offset);
        if (used.load(std::memory_order_acquire) != 0)
            all.merge(sketch::read(
                *reinterpret_cast<const sketch::SpaceSavingTable*>(lane + known.cell.block_offset)));
    });
    return all;
}

wire::TopKeys Collector::top_keys(const CheckedEntry& known) const {
    const sketch::HeavyHitters all = heavy_hitters(known);
    wire::TopKeys keys{{}, all.total, all.missed};
    for (sketch::HeavyHitter& one : all.top(wire::kMaxTopKeys))
        keys.entries.push_back({std::move(one.key), one.truncated(), one.count, one.error});
    return keys;
}

void Collector::collect_group_samples() {
    for (int attempt = 0; attempt < 50; ++attempt) {
        if (attempt > 0) sched_yield();
        const std::uint64_t sequence = view_.header().fold_sequence.load(std::memory_order_acquire);
        if (sequence % 2 != 0 && !view_.is_still()) continue;
        std::vector<wire::Sample> samples;
        for (const auto& [known, place] : known_) {
            if (known.instrument.kind == wire::InstrumentKind::distinct)
                samples.push_back({known.instrument.index, distinct_count(known)});
            if (known.instrument.kind == wire::InstrumentKind::heavy_hitters)
                samples.push_back({known.instrument.index, top_keys(known)});
        }
        std::atomic_thread_fence(std::memory_order_acquire);
        if (view_.header().fold_sequence.load(std::memory_order_relaxed) != sequence) continue;
        group_samples_ = std::move(samples);
        return;
    }
}

void Collector::fill_state(wire::Tick& tick) const {
    const GroupInfo group = view_.group();
    tick.target_workers = group.target_workers;
    tick.degraded = group.degraded;
    tick.workers = view_.workers();
}

wire::Tick Collector::collect() {
    learn_instruments();
    bool complete = false;
    for (int attempt = 0; attempt < 50 && !complete; ++attempt) {
        if (attempt > 0) sched_yield();
        complete = pass();
    }

    wire::Tick tick;
    tick.number = ++number_;
    tick.absolute = last_ns_ == 0;
    const std::uint64_t now_ns = view_.now();
    tick.end = view_.wall_time(now_ns);
    fill_state(tick);
    if (!complete) {
        tick.length = wire::nanoseconds(0);  // the next tick spans this one too
        return tick;
    }
    tick.length = last_ns_ == 0 ? tick.end - view_.created() : wire::nanoseconds(now_ns - last_ns_);
    last_ns_ = now_ns;

    for (auto& [seat, source] : seats_)
        if (source.believed)
            tick.series.push_back({wire::Series::Source::worker, source.slot, source.generation,
                                   std::exchange(source.unsent, {})});
    if (!departed_.unsent.empty())
        tick.series.push_back({wire::Series::Source::departed, 0, 0, std::exchange(departed_.unsent, {})});
    collect_group_samples();
    if (!group_samples_.empty()) tick.series.push_back({wire::Series::Source::group, 0, 0, group_samples_});
    return tick;
}

void Collector::visit_totals(const std::function<void(const Total&)>& visit) const {
    Recorded all;
    all.take_over(departed_.seen);
    for (const auto& [seat, source] : seats_)
        all.take_over(source.seen);
    all.reach(words_, sides_);
    for (const Known& known : known_) {
        Total total{known.entry, 0, {}, std::nullopt};
        switch (known.entry.instrument.kind) {
            case InstrumentKind::counter:
                total.count = all.word(known.place);
                break;
            case InstrumentKind::distribution:
                total.sides = all.sides(known.place, sides_of(known.entry));
                break;
            case InstrumentKind::heavy_hitters: {
                const std::uint64_t sequence = view_.header().fold_sequence.load(std::memory_order_acquire);
                total.keys = heavy_hitters(known.entry);
                std::atomic_thread_fence(std::memory_order_acquire);
                const bool folded = sequence % 2 != 0 ||
                                    view_.header().fold_sequence.load(std::memory_order_relaxed) != sequence;
                if (folded && !view_.is_still()) total.keys.reset();
                break;
            }
            default:
                continue;
        }
        visit(total);
    }
}

wire::Tick Collector::absolute() const {
    wire::Tick tick;
    tick.number = number_;
    tick.absolute = true;
    tick.end = view_.wall_time(last_ns_);
    tick.length = tick.end - view_.created();
    fill_state(tick);
    for (const auto& [seat, source] : seats_)
        tick.series.push_back(
            {wire::Series::Source::worker, source.slot, source.generation, totals(source, true)});
    auto departed = totals(departed_, false);
    if (!departed.empty()) tick.series.push_back({wire::Series::Source::departed, 0, 0, std::move(departed)});
    if (!group_samples_.empty()) tick.series.push_back({wire::Series::Source::group, 0, 0, group_samples_});
    return tick;
}

}  // namespace signalbox::telemetry
