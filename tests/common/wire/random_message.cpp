#include "tests/common/wire/random_message.hpp"

#include <algorithm>
#include <cmath>

namespace signalbox::wire {
namespace {

class Generator {
public:
    explicit Generator(std::mt19937_64& random) : random_(random) {}

    Message message() {
        switch (below(3)) {
            case 0:
                return directory();
            case 1:
                return tick();
            default:
                return events();
        }
    }

private:
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

    /// Every magnitude is as likely as any other, so that all lengths of a varint occur.
    template <typename Unsigned>
    Unsigned number() {
        const auto bits = below(sizeof(Unsigned) * 8 + 1);
        return bits == 0 ? 0 : static_cast<Unsigned>(random_() >> (64 - bits));
    }
    nanoseconds duration() {
        const auto length = static_cast<std::int64_t>(number<std::uint64_t>());
        return nanoseconds(length);
    }
    WallTime time() { return WallTime(duration()); }
    double real() {
        switch (below(4)) {
            case 0:
                return 0;
            case 1:
                return std::ldexp(1.0, static_cast<int>(below(2000)) - 1000);
            case 2:
                return -INFINITY;
            default:
                return std::normal_distribution<double>(0, 1e6)(random_);
        }
    }
    std::string text() {
        static const char* const kPieces[] = {"GET /", "é", "列車", "\U0001F689", "\n", "\x1b[31m", " ", "x"};
        std::string text;
        for (auto pieces = below(8); pieces > 0; --pieces)
            text += kPieces[below(std::size(kPieces))];
        return text;
    }
    template <typename Enum>
    Enum enumerator(Enum first, Enum last) {
        const auto lowest = static_cast<std::uint64_t>(first);
        return static_cast<Enum>(lowest + below(static_cast<std::uint64_t>(last) - lowest + 1));
    }
    template <typename Item, typename Make>
    std::vector<Item> list(std::uint64_t longest, Make make) {
        std::vector<Item> items(below(longest + 1));
        std::generate(items.begin(), items.end(), make);
        return items;
    }

    sketch::ExponentialHistogram histogram() {
        sketch::ExponentialHistogram histogram(static_cast<int>(below(10)) - 2);
        const int shift = sketch::kFinestScale - histogram.scale();
        for (auto buckets = below(12); buckets > 0; --buckets) {
            const int index = sketch::kFirstBucket + static_cast<int>(below(sketch::kBucketCount));
            if (below(4) == 0)
                histogram.add_to_negative_bucket(index >> shift, number<std::uint32_t>());
            else
                histogram.add_to_bucket(index >> shift, number<std::uint32_t>());
        }
        if (below(2) == 0) add_what_few_have(histogram);
        histogram.add_zeros(number<std::uint32_t>());
        histogram.add_sum(real());
        return histogram;
    }
    void add_what_few_have(sketch::ExponentialHistogram& histogram) {
        const auto often_none = [this] { return below(2) == 0 ? 0 : number<std::uint64_t>(); };
        histogram.add_nans(often_none());
        histogram.add_positive_infinities(often_none());
        histogram.add_negative_infinities(often_none());
        histogram.mark_underflow(often_none());
        histogram.mark_overflow(often_none());
    }
    Sample sample() {
        Sample sample{number<std::uint32_t>(), {}};
        switch (below(5)) {
            case 0:
                sample.value = CounterDelta{number<std::uint64_t>()};
                break;
            case 1:
                sample.value = GaugeValue{real(), duration()};
                break;
            case 2:
                sample.value = DistinctCount{real(), real(), real(), real()};
                break;
            case 3:
                sample.value = TopKeys{
                    list<TopKeys::Entry>(
                        5,
                        [this]() -> TopKeys::Entry {
                            return {text(), below(2) == 0, number<std::uint64_t>(), number<std::uint64_t>()};
                        }),
                    number<std::uint64_t>(), number<std::uint64_t>()};
                break;
            default:
                sample.value = histogram();
        }
        return sample;
    }
    Series series() {
        return {enumerator(Series::Source::group, Series::Source::departed), number<std::uint32_t>(),
                number<std::uint64_t>(), list<Sample>(6, [this] { return sample(); })};
    }
    AcceptQueue queue() {
        return {number<std::uint32_t>(), number<std::uint32_t>(), number<std::uint32_t>(), duration(),
                number<std::uint64_t>(), number<std::uint64_t>()};
    }
    Worker worker() {
        Worker worker;
        worker.slot = number<std::uint32_t>();
        worker.generation = number<std::uint64_t>();
        worker.pid = number<std::uint32_t>();
        worker.state = enumerator(WorkerState::starting, WorkerState::dead);
        worker.started = time();
        worker.heartbeat_age = duration();
        worker.resident_bytes = number<std::uint64_t>();
        worker.open_files = number<std::uint32_t>();
        worker.connections = number<std::uint32_t>();
        worker.requests = number<std::uint64_t>();
        worker.activity = text();
        worker.activity_age = duration();
        worker.queues = list<AcceptQueue>(3, [this] { return queue(); });
        return worker;
    }
    Tick tick() {
        Tick tick;
        tick.number = number<std::uint64_t>();
        tick.absolute = below(2) == 1;
        tick.end = time();
        tick.length = duration();
        tick.target_workers = number<std::uint32_t>();
        tick.degraded = below(2) == 1;
        tick.workers = list<Worker>(4, [this] { return worker(); });
        tick.series = list<Series>(4, [this] { return series(); });
        return tick;
    }
    Instrument instrument() {
        Instrument instrument;
        instrument.index = number<std::uint32_t>();
        instrument.kind = enumerator(InstrumentKind::counter, InstrumentKind::distribution);
        instrument.aggregation = enumerator(Aggregation::sum, Aggregation::max);
        instrument.name = text();
        instrument.unit = text();
        instrument.help = text();
        instrument.labels =
            list<Labels::value_type>(3, [this] { return Labels::value_type(text(), text()); });
        return instrument;
    }
    Directory directory() {
        return {list<Instrument>(5, [this] { return instrument(); })};
    }
    Field field() {
        Field field{text(), {}};
        switch (below(4)) {
            case 0:
                field.value = text();
                break;
            case 1:
                field.value = duration().count();
                break;
            case 2:
                field.value = real();
                break;
            default:
                field.value = below(2) == 1;
        }
        return field;
    }
    Event event() {
        Event event;
        event.sequence = number<std::uint64_t>();
        event.time = time();
        event.severity = enumerator(Severity::debug, Severity::error);
        event.slot = below(3) == 0 ? Event::kGroup : number<std::uint32_t>();
        event.generation = number<std::uint64_t>();
        event.pid = number<std::uint32_t>();
        event.name = text();
        event.text = text();
        event.kind = enumerator(EventKind::event, EventKind::exception);
        event.duration = duration();
        event.fields = list<Field>(4, [this] { return field(); });
        event.cut = below(2) == 1;
        return event;
    }
    Events events() {
        return {number<std::uint64_t>(), list<Event>(5, [this] { return event(); })};
    }

    std::mt19937_64& random_;
};

}  // namespace

Message random_message(std::mt19937_64& random) {
    return Generator(random).message();
}

}  // namespace signalbox::wire
