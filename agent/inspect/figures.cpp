#include "agent/inspect/figures.hpp"

#include <algorithm>
#include <map>

namespace signalbox::inspect {
namespace {

using sketch::ExponentialHistogram;

/// Zero is what an instrument says that has recorded nothing.
Figure empty_figure(const wire::Instrument& instrument) {
    switch (instrument.kind) {
        case wire::InstrumentKind::counter:
            return {&instrument, std::uint64_t{0}, {}};
        case wire::InstrumentKind::gauge:
        case wire::InstrumentKind::distinct:
        case wire::InstrumentKind::heavy_hitters:
            return {&instrument, std::monostate(), {}};
        case wire::InstrumentKind::distribution:
            break;
    }
    return {&instrument, ExponentialHistogram(), {}};
}

void add_gauge(Figure& figure, const wire::GaugeValue& more) {
    const auto* gauge = std::get_if<wire::GaugeValue>(&figure.value);
    figure.value = gauge ? wire::combined(*gauge, more, figure.instrument->aggregation) : more;
}

void add(Figure& figure, const wire::Sample& sample) {
    if (const auto* counter = std::get_if<wire::CounterDelta>(&sample.value)) {
        if (auto* value = std::get_if<std::uint64_t>(&figure.value)) *value += counter->increase;
    } else if (const auto* gauge = std::get_if<wire::GaugeValue>(&sample.value)) {
        if (figure.instrument->kind == wire::InstrumentKind::gauge) add_gauge(figure, *gauge);
    } else if (const auto* distribution = std::get_if<ExponentialHistogram>(&sample.value)) {
        if (auto* value = std::get_if<ExponentialHistogram>(&figure.value)) value->merge(*distribution);
    } else if (const auto* distinct = std::get_if<wire::DistinctCount>(&sample.value)) {
        figure.value = *distinct;
    } else if (const auto* keys = std::get_if<wire::TopKeys>(&sample.value)) {
        figure.value = *keys;
    }
}

class Sums {
public:
    explicit Sums(const std::vector<wire::Instrument>& instruments) {
        for (const wire::Instrument& instrument : instruments) {
            places_[instrument.index] = figures_.size();
            figures_.push_back(empty_figure(instrument));
        }
    }
    void add(const wire::Series& series) {
        for (const wire::Sample& sample : series.samples)
            if (const auto place = places_.find(sample.instrument); place != places_.end())
                inspect::add(figures_[place->second], sample);
    }
    std::vector<Figure> take() { return std::move(figures_); }

private:
    std::vector<Figure> figures_;
    std::map<std::uint32_t, std::size_t> places_;
};

}  // namespace

std::vector<Figure> group_figures(const std::vector<wire::Instrument>& instruments,
                                  const wire::Tick& totals) {
    Sums sums(instruments);
    for (const wire::Series& series : totals.series)
        sums.add(series);
    return sums.take();
}

std::vector<Figure> worker_figures(const std::vector<wire::Instrument>& instruments,
                                   const wire::Series& series) {
    Sums sums(instruments);
    sums.add(series);
    return sums.take();
}

}  // namespace signalbox::inspect
