#include "common/wire/codec.hpp"

#include <type_traits>

#include "common/wire/bytes.hpp"
#include "common/wire/histogram_codec.hpp"

namespace signalbox::wire {
namespace {

enum class Type : std::uint8_t { directory = 1, tick = 2, events = 3 };
/// As InstrumentKind.
enum class SampleKind : std::uint8_t { counter = 1, gauge = 2, distribution = 3, distinct = 4, top_keys = 5 };

constexpr int kSampleKindBits = 3;
constexpr std::uint64_t kSampleKindMask = (1 << kSampleKindBits) - 1;

/// Decoding, with what all histograms of a frame share.
struct FrameReader : Reader {
    using Reader::Reader;
    std::size_t bucket_allowance = kMaxFrameBuckets;
};

// One list of fields for each type serves both directions: `io` is a Writer with a const message, or a
// FrameReader. What the two do differently is overloaded for them.

void time(Writer& io, WallTime value) {
    io.signed_number(value.time_since_epoch().count());
}
void time(Reader& io, WallTime& value) {
    value = WallTime(nanoseconds(io.signed_number()));
}

void duration(Writer& io, nanoseconds value) {
    io.signed_number(value.count());
}
void duration(Reader& io, nanoseconds& value) {
    value = nanoseconds(io.signed_number());
}

void flags(Writer& io, const Tick& tick) {
    io.byte(static_cast<std::uint8_t>((tick.absolute ? 1 : 0) | (tick.degraded ? 2 : 0)));
}
void flags(Reader& io, Tick& tick) {
    const std::size_t start = io.offset();
    const std::uint8_t read = io.byte();
    if (read > 3) Reader::fail(start, "unknown flags of a tick");
    tick.absolute = (read & 1) != 0;
    tick.degraded = (read & 2) != 0;
}

/// Plus one, so that the group is 0 and takes one byte.
void event_slot(Writer& io, std::uint32_t slot) {
    io.number(static_cast<std::uint32_t>(slot + 1));
}
void event_slot(Reader& io, std::uint32_t& slot) {
    io.number(slot);
    --slot;
}

template <typename Io, typename LabelT>
void label_fields(Io& io, LabelT& label) {
    io.text(label.first, kMaxNameBytes);
    io.text(label.second, kMaxTextBytes);
}

template <typename Io, typename InstrumentT>
void instrument_fields(Io& io, InstrumentT& instrument) {
    io.number(instrument.index);
    io.enumerator(instrument.kind, InstrumentKind::counter, InstrumentKind::heavy_hitters);
    io.enumerator(instrument.aggregation, Aggregation::sum, Aggregation::last);
    io.text(instrument.name, kMaxNameBytes);
    io.text(instrument.unit, kMaxNameBytes);
    io.text(instrument.help, kMaxTextBytes);
    io.list(instrument.labels, 2, [&io](auto& label) { label_fields(io, label); });
}

template <typename Io, typename QueueT>
void queue_fields(Io& io, QueueT& queue) {
    io.number(queue.listener);
    io.number(queue.depth);
    io.number(queue.capacity);
    duration(io, queue.oldest);
    io.number(queue.accepted);
    io.number(queue.shed);
}

template <typename Io, typename WorkerT>
void worker_fields(Io& io, WorkerT& worker) {
    io.number(worker.slot);
    io.number(worker.generation);
    io.number(worker.pid);
    io.enumerator(worker.state, WorkerState::starting, WorkerState::dead);
    time(io, worker.started);
    duration(io, worker.heartbeat_age);
    io.number(worker.resident_bytes);
    io.number(worker.open_files);
    io.number(worker.connections);
    io.number(worker.requests);
    io.text(worker.activity, kMaxTextBytes);
    duration(io, worker.activity_age);
    io.list(worker.queues, 6, [&io](auto& queue) { queue_fields(io, queue); });
}

template <typename Io, typename GaugeT>
void gauge_fields(Io& io, GaugeT& gauge) {
    io.real(gauge.value);
    duration(io, gauge.age);
}

template <typename Io, typename DistinctT>
void distinct_fields(Io& io, DistinctT& distinct) {
    io.real(distinct.ever);
    io.real(distinct.last_hour);
    io.real(distinct.last_minute);
    io.real(distinct.relative_standard_error);
}

void key_flag(Writer& io, bool truncated) {
    io.byte(truncated ? 1 : 0);
}
void key_flag(Reader& io, bool& truncated) {
    const std::size_t start = io.offset();
    const std::uint8_t read = io.byte();
    if (read > 1) Reader::fail(start, "unknown flags of a key");
    truncated = read == 1;
}

template <typename Io, typename KeysT>
void top_keys_fields(Io& io, KeysT& keys) {
    io.number(keys.total);
    io.number(keys.missed);
    io.list(keys.entries, 4, [&io](auto& entry) {
        io.text(entry.key, kMaxNameBytes);
        key_flag(io, entry.truncated);
        io.number(entry.count);
        io.number(entry.error);
    });
}

void sample_fields(Writer& io, const Sample& sample) {
    const auto kind = static_cast<std::uint64_t>(sample.value.index() + 1);
    io.number(std::uint64_t{sample.instrument} << kSampleKindBits | kind);
    switch (static_cast<SampleKind>(kind)) {
        case SampleKind::counter:
            return io.number(std::get<CounterDelta>(sample.value).increase);
        case SampleKind::gauge:
            return gauge_fields(io, std::get<GaugeValue>(sample.value));
        case SampleKind::distribution:
            return write_histogram(io, std::get<sketch::ExponentialHistogram>(sample.value));
        case SampleKind::distinct:
            return distinct_fields(io, std::get<DistinctCount>(sample.value));
        case SampleKind::top_keys:
            return top_keys_fields(io, std::get<TopKeys>(sample.value));
    }
}

void sample_fields(FrameReader& io, Sample& sample) {
    const std::size_t start = io.offset();
    const std::uint64_t tag = io.number_up_to(std::uint64_t{UINT32_MAX} << kSampleKindBits | kSampleKindMask);
    sample.instrument = static_cast<std::uint32_t>(tag >> kSampleKindBits);
    switch (static_cast<SampleKind>(tag & kSampleKindMask)) {
        case SampleKind::counter:
            return io.number(sample.value.emplace<CounterDelta>().increase);
        case SampleKind::gauge:
            return gauge_fields(io, sample.value.emplace<GaugeValue>());
        case SampleKind::distribution:
            sample.value = read_histogram(io, io.bucket_allowance);
            return;
        case SampleKind::distinct:
            return distinct_fields(io, sample.value.emplace<DistinctCount>());
        case SampleKind::top_keys:
            return top_keys_fields(io, sample.value.emplace<TopKeys>());
    }
    Reader::fail(start, "a sample has no kind");
}

template <typename Io, typename SeriesT>
void series_fields(Io& io, SeriesT& series) {
    io.enumerator(series.source, Series::Source::group, Series::Source::departed);
    io.number(series.slot);
    io.number(series.generation);
    io.list(series.samples, 2, [&io](auto& sample) { sample_fields(io, sample); });
}

/// A boolean's type says its value.
enum class FieldType : std::uint8_t { text = 1, integer = 2, real = 3, no = 4, yes = 5 };

void field_value(Writer& io, const Field& field) {
    const auto type = [&io](FieldType is) { io.byte(static_cast<std::uint8_t>(is)); };
    if (const auto* text = std::get_if<std::string>(&field.value)) {
        type(FieldType::text);
        io.text(*text, kMaxTextBytes);
    } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
        type(FieldType::integer);
        io.signed_number(*integer);
    } else if (const auto* real = std::get_if<double>(&field.value)) {
        type(FieldType::real);
        io.real(*real);
    } else {
        type(std::get<bool>(field.value) ? FieldType::yes : FieldType::no);
    }
}

void field_value(Reader& io, Field& field) {
    FieldType type{};
    io.enumerator(type, FieldType::text, FieldType::yes);
    switch (type) {
        case FieldType::text:
            return io.text(field.value.emplace<std::string>(), kMaxTextBytes);
        case FieldType::integer:
            return io.signed_number(field.value.emplace<std::int64_t>());
        case FieldType::real:
            return io.real(field.value.emplace<double>());
        case FieldType::no:
        case FieldType::yes:
            field.value = type == FieldType::yes;
    }
}

void event_flags(Writer& io, bool cut) {
    io.byte(cut ? 1 : 0);
}
void event_flags(Reader& io, bool& cut) {
    const std::size_t start = io.offset();
    const std::uint8_t read = io.byte();
    if (read > 1) Reader::fail(start, "unknown flags of an event");
    cut = read == 1;
}

template <typename Io, typename EventT>
void event_fields(Io& io, EventT& event) {
    io.number(event.sequence);
    time(io, event.time);
    io.enumerator(event.severity, Severity::debug, Severity::error);
    event_slot(io, event.slot);
    io.number(event.generation);
    io.number(event.pid);
    io.text(event.name, kMaxNameBytes);
    io.text(event.text, kMaxTextBytes);
    io.enumerator(event.kind, EventKind::event, EventKind::exception);
    event_flags(io, event.cut);
    duration(io, event.duration);
    io.list(event.fields, 2, [&io](auto& field) {
        io.text(field.name, kMaxNameBytes);
        field_value(io, field);
    });
}

template <typename Io, typename DirectoryT>
void directory_fields(Io& io, DirectoryT& directory) {
    io.list(directory.instruments, 7, [&io](auto& instrument) { instrument_fields(io, instrument); });
}

template <typename Io, typename TickT>
void tick_fields(Io& io, TickT& tick) {
    io.number(tick.number);
    flags(io, tick);
    time(io, tick.end);
    duration(io, tick.length);
    io.number(tick.target_workers);
    io.list(tick.workers, 13, [&io](auto& worker) { worker_fields(io, worker); });
    io.list(tick.series, 4, [&io](auto& series) { series_fields(io, series); });
}

template <typename Io, typename EventsT>
void events_fields(Io& io, EventsT& events) {
    io.number(events.lost);
    io.list(events.events, 12, [&io](auto& event) { event_fields(io, event); });
}

struct Encoder {
    Writer io;
    void operator()(const Directory& directory) {
        type(Type::directory);
        directory_fields(io, directory);
    }
    void operator()(const Tick& tick) {
        type(Type::tick);
        tick_fields(io, tick);
    }
    void operator()(const Events& events) {
        type(Type::events);
        events_fields(io, events);
    }
    void type(Type type) { io.byte(static_cast<std::uint8_t>(type)); }
};

Message read_message(FrameReader& io) {
    const std::uint8_t type = io.byte();
    Message message;
    switch (static_cast<Type>(type)) {
        case Type::directory:
            directory_fields(io, message.emplace<Directory>());
            break;
        case Type::tick:
            tick_fields(io, message.emplace<Tick>());
            break;
        case Type::events:
            events_fields(io, message.emplace<Events>());
            break;
        default:
            Reader::fail(0, "there is no message type " + std::to_string(type));
    }
    io.expect_end();
    return message;
}

}  // namespace

std::string encode(const Message& message) {
    Encoder encoder;
    std::visit(encoder, message);
    return encoder.io.take();
}

std::string encode(const Tick& tick) {
    Encoder encoder;
    encoder(tick);
    return encoder.io.take();
}

Decoded decode(std::string_view frame) {
    if (frame.size() > kMaxFrameBytes)
        return {std::nullopt, "a frame of " + std::to_string(frame.size()) + " bytes exceeds the limit of " +
                                  std::to_string(kMaxFrameBytes)};
    try {
        FrameReader reader(frame);
        return {read_message(reader), {}};
    } catch (const MalformedFrame& problem) {
        return {std::nullopt, std::string(problem.what()) + " (at byte " + std::to_string(problem.offset) +
                                  " of " + std::to_string(frame.size()) + ")"};
    }
}

}  // namespace signalbox::wire
