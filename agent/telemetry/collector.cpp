#include "agent/telemetry/collector.hpp"

#include <sched.h>

#include <algorithm>
#include <bit>

#include "agent/telemetry/distinct_windows.hpp"
#include "agent/telemetry/retire.hpp"
#include "common/sketch/heavy_hitters.hpp"

namespace signalbox::telemetry {
std::vector<wire::Instrument> Collector::new_instruments() {
    learn_instruments();
    std::vector<wire::Instrument> fresh;
    for (; announced_ < known_.size(); ++announced_)
        fresh.push_back(known_[announced_].instrument);
    return fresh;
}

void Collector::learn_instruments() {
    const auto learn = [this](std::uint32_t index) {
        auto entry = view_.entry(index);
        if (!entry || !screen_.admit(*entry)) return false;
        known_.push_back(std::move(*entry));
        return true;
    };
    std::erase_if(pending_, learn);
    for (; !view_.entry_is_vacant(next_entry_); ++next_entry_)
        if (!learn(next_entry_)) pending_.push_back(next_entry_);
}

void Collector::add_lane(const std::byte* lane, Recorded& into, bool with_gauges) const {
    into.words.resize(known_.size());
    into.distributions.resize(known_.size());
    for (std::size_t i = 0; i < known_.size(); ++i) {
        const CheckedEntry& known = known_[i];
        if (known.instrument.kind == wire::InstrumentKind::distribution) {
            add_cells(lane, known.cell, into.distributions[i]);
            continue;
        }
        const bool gauge = known.instrument.kind == wire::InstrumentKind::gauge;
        const bool counter = known.instrument.kind == wire::InstrumentKind::counter;
        if (!counter && !(gauge && with_gauges)) continue;
        const auto& word = *reinterpret_cast<const detail::Word*>(lane + known.cell.head_offset);
        into.words[i] += word.load(std::memory_order_relaxed);
    }
}

bool Collector::take(Snapshot& snapshot) const {
    const Header& header = view_.header();
    const std::uint64_t sequence = header.fold_sequence.load(std::memory_order_acquire);
    if (sequence % 2 != 0 && !view_.is_still()) return false;  // of a dead folder: see retire.hpp
    const RetiredWord retired = RetiredWord::unpack(header.retired.load(std::memory_order_acquire));
    add_lane(view_.retired_lane(retired.active), snapshot.retired, false);

    const unsigned arbiter = view_.geometry().seat_count - 1;
    for (unsigned i = 0; i <= arbiter; ++i) {
        const Seat& seat = view_.seat(i);
        const std::uint64_t generation = seat.generation.load(std::memory_order_acquire);
        const bool vacant = seat.pid.load(std::memory_order_acquire) == 0;
        if (vacant || !seat_fault(view_, i).empty() || retired.names(i, generation)) continue;
        // What the arbiter records itself is nobody's in particular, like what the departed did.
        Recorded& into = i == arbiter ? snapshot.retired : snapshot.seats[i];
        into.generation = generation;
        into.slot = i / 2;
        const std::uint32_t touched = seat.lanes_touched.load(std::memory_order_acquire);
        for (unsigned lane = 0; lane < view_.geometry().lane_count; ++lane)
            if (touched >> lane & 1) add_lane(view_.lane(i, lane), into, lane == 0 && i != arbiter);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    return header.fold_sequence.load(std::memory_order_relaxed) == sequence;
}

void Collector::accumulate(Recorded& into, const Recorded& from) {
    if (into.words.size() < from.words.size()) into.words.resize(from.words.size());
    if (into.distributions.size() < from.distributions.size())
        into.distributions.resize(from.distributions.size());
    for (std::size_t i = 0; i < from.words.size(); ++i)
        into.words[i] += from.words[i];
    for (std::size_t i = 0; i < from.distributions.size(); ++i)
        into.distributions[i].add(from.distributions[i]);
}

std::vector<wire::Sample> Collector::samples(const Recorded& now, const Recorded& before, bool gauges) const {
    static const DistributionTotals none;
    std::vector<wire::Sample> samples;
    for (std::size_t i = 0; i < now.words.size(); ++i) {
        const wire::Instrument& instrument = known_[i].instrument;
        const std::uint64_t word = now.words[i];
        const std::uint64_t earlier = i < before.words.size() ? before.words[i] : 0;
        switch (instrument.kind) {
            case wire::InstrumentKind::counter:
                if (word > earlier) samples.push_back({instrument.index, wire::CounterDelta{word - earlier}});
                break;
            case wire::InstrumentKind::distinct:
            case wire::InstrumentKind::heavy_hitters:
                break;  // group_samples()
            case wire::InstrumentKind::gauge:
                if (gauges)
                    samples.push_back({instrument.index, wire::GaugeValue{std::bit_cast<double>(word)}});
                break;
            case wire::InstrumentKind::distribution: {
                const DistributionTotals& then =
                    i < before.distributions.size() ? before.distributions[i] : none;
                auto change = difference(now.distributions[i], then, known_[i].cell.units_per_tick);
                // A tick that looks between a record's two stores sees a sum without a count, or finds it in the next.
                if (!change.empty() || change.sum() != 0)
                    samples.push_back({instrument.index, std::move(change)});
                break;
            }
        }
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

wire::TopKeys Collector::top_keys(const CheckedEntry& known) const {
    sketch::HeavyHitters all;
    for_each_lane([&](const std::byte* lane) {
        const auto& used = *reinterpret_cast<const detail::Word*>(lane + known.cell.head_offset);
        if (used.load(std::memory_order_acquire) != 0)
            all.merge(sketch::read(
                *reinterpret_cast<const sketch::SpaceSavingTable*>(lane + known.cell.block_offset)));
    });
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
        for (const CheckedEntry& known : known_) {
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
    Snapshot now;
    bool consistent = false;
    for (int attempt = 0; attempt < 50 && !consistent; ++attempt) {
        if (attempt > 0) sched_yield();
        now = {};
        consistent = take(now);
    }

    wire::Tick tick;
    tick.number = ++number_;
    tick.absolute = last_ns_ == 0;
    const std::uint64_t now_ns = view_.now();
    tick.end = view_.wall_time(now_ns);
    fill_state(tick);
    if (!consistent) {
        tick.length = wire::nanoseconds(0);  // the next tick spans this one too
        return tick;
    }
    tick.length = last_ns_ == 0 ? tick.end - view_.created() : wire::nanoseconds(now_ns - last_ns_);
    last_ns_ = now_ns;

    Recorded departed_before = last_.retired;
    for (const auto& [seat, before] : last_.seats) {
        const auto found = now.seats.find(seat);
        if (found == now.seats.end() || found->second.generation != before.generation)
            accumulate(departed_before, before);
    }
    for (const auto& [seat, recorded] : now.seats) {
        const auto before = last_.seats.find(seat);
        const bool same = before != last_.seats.end() && before->second.generation == recorded.generation;
        tick.series.push_back({wire::Series::Source::worker, recorded.slot, recorded.generation,
                               samples(recorded, same ? before->second : Recorded{}, true)});
    }
    auto departed = samples(now.retired, departed_before, false);
    if (!departed.empty()) tick.series.push_back({wire::Series::Source::departed, 0, 0, std::move(departed)});
    last_ = std::move(now);
    collect_group_samples();
    if (!group_samples_.empty()) tick.series.push_back({wire::Series::Source::group, 0, 0, group_samples_});
    return tick;
}

wire::Tick Collector::absolute() const {
    wire::Tick tick;
    tick.number = number_;
    tick.absolute = true;
    tick.end = view_.wall_time(last_ns_);
    tick.length = tick.end - view_.created();
    fill_state(tick);
    for (const auto& [seat, recorded] : last_.seats)
        tick.series.push_back(
            {wire::Series::Source::worker, recorded.slot, recorded.generation, samples(recorded, {}, true)});
    auto departed = samples(last_.retired, {}, false);
    if (!departed.empty()) tick.series.push_back({wire::Series::Source::departed, 0, 0, std::move(departed)});
    if (!group_samples_.empty()) tick.series.push_back({wire::Series::Source::group, 0, 0, group_samples_});
    return tick;
}

}  // namespace signalbox::telemetry
