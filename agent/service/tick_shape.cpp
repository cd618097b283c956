#include "agent/service/tick_shape.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/wire/codec.hpp"

namespace signalbox::service {
namespace {

using sketch::ExponentialHistogram;

/// The samples of all series, one for each instrument.
class Merged {
public:
    explicit Merged(const Catalogue& catalogue) : catalogue_(catalogue) {}

    void add(const wire::Series& series) {
        // Series have their samples in the same order, so the next place is mostly the right one.
        std::size_t next = 0;
        for (const wire::Sample& sample : series.samples) {
            if (next >= samples_.size() || samples_[next].instrument != sample.instrument) {
                const auto [known, is_new] = places_.try_emplace(sample.instrument, samples_.size());
                next = known->second;
                if (is_new) {
                    samples_.push_back(sample);
                    ++next;
                    continue;
                }
            }
            merge(samples_[next++], sample);
        }
    }

    std::vector<wire::Sample> in_order() && {
        const auto before = [](const wire::Sample& a, const wire::Sample& b) {
            return a.instrument < b.instrument;
        };
        if (!std::is_sorted(samples_.begin(), samples_.end(), before))
            std::sort(samples_.begin(), samples_.end(), before);
        return std::move(samples_);
    }

private:
    void merge(wire::Sample& into, const wire::Sample& more) const {
        if (into.value.index() != more.value.index()) return;
        if (auto* histogram = std::get_if<ExponentialHistogram>(&into.value))
            histogram->merge(std::get<ExponentialHistogram>(more.value));
        else if (auto* counter = std::get_if<wire::CounterDelta>(&into.value))
            counter->increase += std::get<wire::CounterDelta>(more.value).increase;
        else if (auto* gauge = std::get_if<wire::GaugeValue>(&into.value))
            *gauge =
                wire::combined(*gauge, std::get<wire::GaugeValue>(more.value), aggregation(into.instrument));
        // The rest is the group's own: there is one series of them.
    }
    wire::Aggregation aggregation(std::uint32_t instrument) const {
        const auto known = catalogue_.find(instrument);
        return known == catalogue_.end() ? wire::Aggregation::sum : known->second.aggregation;
    }

    const Catalogue& catalogue_;
    std::vector<wire::Sample> samples_;
    std::unordered_map<std::uint32_t, std::size_t> places_;
};

/// All but the series.
wire::Tick frame_of(const wire::Tick& tick) {
    return {tick.number,         tick.absolute, tick.end,     tick.length,
            tick.target_workers, tick.degraded, tick.workers, {}};
}

std::size_t bucket_count(const wire::Tick& tick) {
    std::size_t buckets = 0;
    for (const wire::Series& series : tick.series)
        for (const wire::Sample& sample : series.samples)
            if (const auto* histogram = std::get_if<ExponentialHistogram>(&sample.value))
                buckets += histogram->buckets().size();
    return buckets;
}

void reduce(wire::Tick& tick, int scale) {
    for (wire::Series& series : tick.series)
        for (wire::Sample& sample : series.samples)
            if (auto* histogram = std::get_if<ExponentialHistogram>(&sample.value))
                if (histogram->scale() > scale) *histogram = histogram->reduced_to(scale);
}

wire::Tick reduced(const wire::Tick& tick, int scale) {
    wire::Tick coarse = frame_of(tick);
    for (const wire::Series& series : tick.series) {
        wire::Series& into =
            coarse.series.emplace_back(wire::Series{series.source, series.slot, series.generation, {}});
        into.samples.reserve(series.samples.size());
        for (const wire::Sample& sample : series.samples) {
            if (const auto* histogram = std::get_if<ExponentialHistogram>(&sample.value))
                into.samples.push_back({sample.instrument, histogram->reduced_to(scale)});
            else
                into.samples.push_back(sample);
        }
    }
    return coarse;
}

/// As fine as the format's limits allow, but not finer than `scale`.
std::string encode_within_limits(wire::Tick tick, int scale) {
    while (bucket_count(tick) > wire::kMaxFrameBuckets && scale > sketch::kCoarsestScale)
        reduce(tick, --scale);
    std::string frame = wire::encode(tick);
    while (frame.size() > wire::kMaxFrameBytes && scale > sketch::kCoarsestScale) {
        reduce(tick, --scale);
        frame = wire::encode(tick);
    }
    return frame;
}

}  // namespace

wire::Tick merged_into_group(const wire::Tick& tick, const Catalogue& catalogue) {
    Merged merged(catalogue);
    for (const wire::Series& series : tick.series)
        merged.add(series);
    wire::Tick group = frame_of(tick);
    group.series.push_back({wire::Series::Source::group, 0, 0, std::move(merged).in_order()});
    return group;
}

std::string encode_shaped(const wire::Tick& tick, Shape shape, const Catalogue& catalogue) {
    // Merging first: it makes the fewest buckets to reduce, and loses nothing.
    if (shape.granularity == Granularity::group) {
        wire::Tick group = merged_into_group(tick, catalogue);
        reduce(group, shape.scale);
        return encode_within_limits(std::move(group), shape.scale);
    }
    if (shape.scale >= sketch::kFinestScale && bucket_count(tick) <= wire::kMaxFrameBuckets) {
        std::string frame = wire::encode(tick);
        if (frame.size() <= wire::kMaxFrameBytes) return frame;
    }
    return encode_within_limits(reduced(tick, shape.scale), shape.scale);
}

std::string reshape(std::string_view finest_frame, Shape shape, const Catalogue& catalogue) {
    wire::Decoded decoded = wire::decode(finest_frame);
    auto* tick = decoded ? std::get_if<wire::Tick>(&*decoded.message) : nullptr;
    if (!tick) return std::string(finest_frame);
    return encode_shaped(*tick, shape, catalogue);
}

}  // namespace signalbox::service
