#include "agent/service/tick_shape.hpp"

#include <algorithm>
#include <utility>

#include "common/wire/codec.hpp"

namespace signalbox::service {
namespace {

using sketch::ExponentialHistogram;

struct MergeInto {
    wire::Sample& into;
    wire::Aggregation aggregation;

    void operator()(const wire::CounterDelta& more) const {
        if (auto* counter = std::get_if<wire::CounterDelta>(&into.value)) counter->increase += more.increase;
    }
    void operator()(const wire::GaugeValue& more) const {
        auto* gauge = std::get_if<wire::GaugeValue>(&into.value);
        if (gauge) *gauge = wire::combined(*gauge, more, aggregation);
    }
    // The group's own: there is one series of them.
    void operator()(const wire::DistinctCount&) const {}
    void operator()(const wire::TopKeys&) const {}
    void operator()(const ExponentialHistogram& more) const {
        if (auto* histogram = std::get_if<ExponentialHistogram>(&into.value)) histogram->merge(more);
    }
};

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

}  // namespace

wire::Tick merged_into_group(wire::Tick tick, const Catalogue& catalogue) {
    std::map<std::uint32_t, wire::Sample> merged;
    for (wire::Series& series : tick.series) {
        for (wire::Sample& sample : series.samples) {
            const std::uint32_t index = sample.instrument;
            const auto found = merged.find(index);
            if (found == merged.end()) {
                merged.emplace(index, std::move(sample));
                continue;
            }
            const auto known = catalogue.find(index);
            const auto aggregation =
                known == catalogue.end() ? wire::Aggregation::sum : known->second.aggregation;
            std::visit(MergeInto{found->second, aggregation}, sample.value);
        }
    }
    tick.series.assign(1, {wire::Series::Source::group, 0, 0, {}});
    for (auto& [index, sample] : merged)
        tick.series.front().samples.push_back(std::move(sample));
    return tick;
}

std::string encode_shaped(wire::Tick tick, Shape shape, const Catalogue& catalogue) {
    // Merging first: it makes the fewest buckets to reduce, and loses nothing.
    if (shape.granularity == Granularity::group) tick = merged_into_group(std::move(tick), catalogue);
    reduce(tick, shape.scale);
    int scale = shape.scale;
    while (bucket_count(tick) > wire::kMaxFrameBuckets && scale > sketch::kCoarsestScale)
        reduce(tick, --scale);
    wire::Message message = std::move(tick);
    std::string frame = wire::encode(message);
    while (frame.size() > wire::kMaxFrameBytes && scale > sketch::kCoarsestScale) {
        reduce(std::get<wire::Tick>(message), --scale);
        frame = wire::encode(message);
    }
    return frame;
}

std::string reshape(const std::string& finest_frame, Shape shape, const Catalogue& catalogue) {
    if (shape == Shape{Granularity::worker, sketch::kFinestScale}) return finest_frame;
    wire::Decoded decoded = wire::decode(finest_frame);
    auto* tick = decoded ? std::get_if<wire::Tick>(&*decoded.message) : nullptr;
    if (!tick) return finest_frame;
    return encode_shaped(std::move(*tick), shape, catalogue);
}

}  // namespace signalbox::service
