// What agent and console say to each other, as plain values. codec.hpp turns the telemetry ones into bytes
// and back; PROTOCOL.md is the normative description of both.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/sketch/exponential_histogram.hpp"
#include "common/wire/event.hpp"

namespace signalbox::wire {

/// The protocol versions that this code speaks; negotiated as the WebSocket subprotocol "signalbox.v1".
inline constexpr int kProtocolVersion = 1;
inline constexpr std::string_view kSubprotocol = "signalbox.v1";

enum class InstrumentKind : std::uint8_t {
    counter = 1,
    gauge = 2,
    distribution = 3,
    distinct = 4,
    heavy_hitters = 5,
};

/// How a gauge's values of several workers become the group's.
enum class Aggregation : std::uint8_t { sum = 0, max = 1, last = 2 };

using Labels = std::vector<std::pair<std::string, std::string>>;

/// One entry of the directory. `index` is the same in every worker and is never reused.
struct Instrument {
    std::uint32_t index = 0;
    InstrumentKind kind = InstrumentKind::counter;
    Aggregation aggregation = Aggregation::sum;
    std::string name;  ///< Prometheus style: base unit in the name, `_total` on counters
    std::string unit;  ///< "seconds", "bytes" or ""
    std::string help;
    Labels labels;
    friend bool operator==(const Instrument&, const Instrument&) = default;
};

/// Instruments that the receiver does not know yet; sent before the first tick that uses them.
struct Directory {
    std::vector<Instrument> instruments;
    friend bool operator==(const Directory&, const Directory&) = default;
};

enum class WorkerState : std::uint8_t {
    starting = 1,  ///< forked, not serving yet
    ready = 2,     ///< its listeners accept
    draining = 3,  ///< finishes what it has, accepts nothing new
    stalled = 4,   ///< alive, but its event loop has not beaten for 500 ms
    dead = 5,      ///< reaped; shown until the slot is taken again
};

/// One accept queue of one worker.
struct AcceptQueue {
    std::uint32_t listener = 0;  ///< index in `listeners.list`
    std::uint32_t depth = 0;     ///< connections waiting now
    std::uint32_t capacity = 0;
    nanoseconds oldest{0};  ///< how long the first of them has waited
    std::uint64_t accepted = 0;
    std::uint64_t shed = 0;  ///< refused because the queue was full or the deadline had passed
    friend bool operator==(const AcceptQueue&, const AcceptQueue&) = default;
};

/// A worker process as it is at the end of a tick.
struct Worker {
    std::uint32_t slot = 0;        ///< position in the group, 0 …; survives replacement
    std::uint64_t generation = 0;  ///< unique in the group's life; names this very process in commands
    std::uint32_t pid = 0;
    WorkerState state = WorkerState::starting;
    WallTime started{};
    nanoseconds heartbeat_age{0};
    std::uint64_t resident_bytes = 0;
    std::uint32_t open_files = 0;
    std::uint32_t connections = 0;
    std::uint64_t requests = 0;
    std::string
        activity;  ///< what it is at, or was when it stopped; empty if idle. Text from outside: escape it
    nanoseconds activity_age{0};
    std::vector<AcceptQueue> queues;
    friend bool operator==(const Worker&, const Worker&) = default;
};

/// The change of one instrument over a tick (in an absolute tick: everything since the group started). Gauges
/// are values.
struct CounterDelta {
    std::uint64_t increase = 0;
    friend bool operator==(const CounterDelta&, const CounterDelta&) = default;
};
struct GaugeValue {
    double value = 0;
    nanoseconds age{0};  ///< how long before the tick's end it was set; only of those with Aggregation::last
    friend bool operator==(const GaugeValue&, const GaugeValue&) = default;
};
/// How many different elements, by estimate; of the whole group, departed workers included.
struct DistinctCount {
    double ever = 0;         ///< since the group started
    double last_hour = 0;    ///< in the last 60 to 70 minutes
    double last_minute = 0;  ///< in the last 60 to 70 seconds
    double relative_standard_error = 0;
    friend bool operator==(const DistinctCount&, const DistinctCount&) = default;
};
/// The most frequent keys since the group started, most frequent first; of the whole group, departed workers
/// included.
struct TopKeys {
    struct Entry {
        std::string key;  ///< bytes from outside: escape them
        bool truncated = false;
        std::uint64_t count = 0;  ///< the true count is not above this …
        std::uint64_t error = 0;  ///< … and not below it by more than this
        friend bool operator==(const Entry&, const Entry&) = default;
    };
    std::vector<Entry> entries;  ///< kMaxTopKeys at most
    std::uint64_t total = 0;     ///< the weight of all keys
    std::uint64_t missed = 0;    ///< true counts may be higher by this
    friend bool operator==(const TopKeys&, const TopKeys&) = default;
};
inline constexpr std::size_t kMaxTopKeys = 50;
/// What the values of two workers make together.
inline GaugeValue combined(const GaugeValue& a, const GaugeValue& b, Aggregation aggregation) {
    switch (aggregation) {
        case Aggregation::sum:
            break;
        case Aggregation::max:
            return a.value < b.value ? b : a;
        case Aggregation::last:
            return b.age < a.age ? b : a;
    }
    return {a.value + b.value, {}};
}
struct Sample {
    std::uint32_t instrument = 0;
    std::variant<CounterDelta, GaugeValue, sketch::ExponentialHistogram, DistinctCount, TopKeys> value;
    friend bool operator==(const Sample&, const Sample&) = default;
};

/// The samples of one source; instruments without a change are left out.
struct Series {
    enum class Source : std::uint8_t {
        group = 1,  ///< everything together (group granularity); at worker granularity, what is only known of
                    ///< the group as a whole: distinct elements and most frequent keys
        worker = 2,    ///< the worker named by `generation`
        departed = 3,  ///< what workers did between the last tick and their end (worker granularity)
    };
    Source source = Source::group;
    std::uint32_t slot = 0;        ///< of `worker`
    std::uint64_t generation = 0;  ///< of `worker`
    std::vector<Sample> samples;
    friend bool operator==(const Series&, const Series&) = default;
};

/// What changed between two instants. The sum over all series of a tick is the whole group's change, exactly,
/// also when workers came and went; a gap in `number` is missing data, not zero.
struct Tick {
    std::uint64_t number = 0;
    bool absolute = false;  ///< the first after subscribing: totals, not changes; not to be charted as a rate
    WallTime end{};
    nanoseconds length{0};  ///< since the previous tick; in an absolute one since the group started
    std::uint32_t target_workers = 0;
    bool degraded = false;  ///< a crash loop holds replacements back
    std::vector<Worker> workers;
    std::vector<Series> series;
    friend bool operator==(const Tick&, const Tick&) = default;
};

using Message = std::variant<Directory, Tick, Events>;

}  // namespace signalbox::wire
