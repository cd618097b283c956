// Telemetry in shared memory: what a process does, readable by another one while it runs, hangs or is dead.
//
//     signalbox::Telemetry telemetry({.group = "mailroom", .max_workers = 4});       // before the first fork
//     signalbox::Counter letters(telemetry, "letters_total", "Letters classified");
//     signalbox::Duration scoring(telemetry, "scoring_duration_seconds", "Time to score a letter");
//     ... fork ...
//     telemetry.attach(seat);                                                  // "this process is that seat"
//     letters.add();
//     { auto timer = scoring.time(); score(letter); }
//
// Recording takes no lock, no allocation and no system call (but for a thread's very first record, which may
// allocate). The thread that attached, and as many others as there are thread lanes, record with plain loads
// and stores, each in cells of its own; further threads share cells and use atomic additions. In a process
// that has not attached, recording does nothing.
//
// Instruments are small values: copy them freely, keep them anywhere, use them after fork. Register them
// before forking where possible; registering later, in any process, works and costs microseconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "signalbox/detail/clock.hpp"
#include "signalbox/detail/lane.hpp"

namespace signalbox {

namespace detail {
class TunableCell;
}
class Seat;
namespace telemetry {
class EventSource;
class Segment;
}  // namespace telemetry
namespace detail {
class StateTable;
}

using Labels = std::vector<std::pair<std::string, std::string>>;

struct TelemetryOptions {
    std::string group{};          ///< the group's name, up to 63 bytes
    unsigned max_workers = 1;     ///< each has a slot; each slot has two seats, so that a successor can start
    unsigned instruments = 1024;  ///< at most, of all kinds
    unsigned distributions = 256;  ///< at most, of those; a signed one counts twice. Each thread uses 4 to 12
                                   ///< KiB for one that it records to, 50 at worst
    unsigned distincts = 32;       ///< at most, of precision 12; one of precision p counts as 2^(p - 12)
    unsigned heavy_hitters = 16;   ///< at most; 48 KiB for each thread that records to it
    unsigned thread_lanes = 4;  ///< threads of a process, beside the first, that record into their own cells
    unsigned settings = 512;    ///< facts, settings and tunables, at most
    std::string path{};  ///< of the segment's file, which outlives the processes; empty: anonymous memory
};

/// The segment and this process' place in it.
class Telemetry {
public:
    /// Creates the segment. Throws std::system_error (no memory, path not writable) or std::invalid_argument.
    explicit Telemetry(TelemetryOptions options);
    ~Telemetry();
    Telemetry(const Telemetry&) = delete;
    Telemetry& operator=(const Telemetry&) = delete;

    /// From now on this process records into `seat` (0 … seats - 1), the calling thread as its owner. Before
    /// any other thread of the process records. Throws std::out_of_range.
    void attach(unsigned seat);
    /// Recording does nothing from now on.
    void detach();

    /// What must be done now and then: the gauges that follow a function are read, whoever waits for a
    /// change of a tunable is called, and instruments that have become quiet keep more of their samples again. The server runtime calls it once a second; call it
    /// likewise from a loop of your own, in the thread that attached.
    void refresh();

    telemetry::Segment& segment() { return *segment_; }
    telemetry::EventSource& events() { return *events_; }

private:
    friend class Gauge;
    friend class detail::TunableCell;
    std::unique_ptr<telemetry::Segment> segment_;
    std::unique_ptr<telemetry::EventSource> events_;
    std::vector<std::function<void()>> followed_;  ///< each reads and sets a gauge
    std::deque<std::function<void()>> watchers_;   // of tunables; each looks whether its own has changed
};

/// A total that only grows. It survives the process: the arbiter folds the dead process' part into the
/// group's.
class Counter {
public:
    /// `name` in Prometheus style, ending in "_total". Registering the same name and labels again gives the
    /// same instrument. Throws std::invalid_argument for a bad name or one that is another kind of
    /// instrument (and says where that was registered), and std::length_error when the directory is full.
    Counter(Telemetry& telemetry, std::string_view name, std::string_view help, const Labels& labels = {},
            std::source_location where = std::source_location::current());

    /// Any thread. Wraps at 2^64.
    void add(std::uint64_t amount = 1) noexcept {
        if (std::byte* const lane = detail::own_lane) [[likely]]
            detail::add_alone(*reinterpret_cast<detail::Word*>(lane + offset_), amount);
        else
            detail::add_elsewhere(offset_, amount);
    }

private:
    std::uint32_t offset_;
};

/// A value that goes up and down: the last one set, per process. It ends with its process.
class Gauge {
public:
    /// How the values of several workers become the group's.
    enum class Merge : std::uint8_t { sum, max, last };

    /// Throws as Counter does.
    Gauge(Telemetry& telemetry, std::string_view name, std::string_view help, Merge merge = Merge::sum,
          const Labels& labels = {}, std::source_location where = std::source_location::current());

    /// Any thread of the process; the last one wins. A gauge has one cell per process, not one per lane.
    void set(double value) noexcept;
    /// Any thread; nothing is lost when several add.
    void add(double amount) noexcept;

    /// For a value that is read rather than pushed: from now on every Telemetry::refresh() of a process sets
    /// the gauge to what `read` returns. What it throws leaves the gauge as it is. Before forking, for all
    /// workers, or afterwards, for one; the thread that calls refresh().
    void follow(Telemetry& telemetry, std::function<double()> read);

private:
    void note_time(detail::Word* word) noexcept;

    std::uint32_t offset_;
    bool timed_;  ///< Merge::last: the word behind the value says when it was set
};

/// How values are spread: 128 exponential buckets an octave from 2^-30 to 2^34 of the base unit, so that any
/// quantile is within 0.28 % of the true one, also after merging. Beside the buckets it keeps the exact sum,
/// the exact extremes and when they were, and the last 64 samples with their times (all of them up to about
/// a thousand records a second; every so many of a busier instrument, so that they tell of the last tenth of
/// a second at least). Zero, what lies below and above the buckets, infinities and what is not a number are
/// counted apart.
///
/// Integers in the hot path: a value is a number of ticks.
class Distribution {
public:
    /// `ticks_per_unit`: what record() counts in. Bytes: 1. Seconds from nanoseconds: 1e9. Throws as Counter
    /// does.
    Distribution(Telemetry& telemetry, std::string_view name, std::string_view help, std::string_view unit,
                 double ticks_per_unit = 1, const Labels& labels = {},
                 std::source_location where = std::source_location::current());

    /// Any thread; about two nanoseconds (`./dev bench record`). Ticks beyond 2^63 - 1 count as that many.
    void record(std::uint64_t ticks) noexcept { detail::record(cell_, ticks); }

    /// A value in units, rounded to whole ticks (at least one if it is positive). Negative ones count as zero.
    /// Any thread.
    void record_value(double value) noexcept { detail::record_value(cell_, value); }

private:
    friend class Duration;
    detail::DistributionCell cell_;
};

/// A Distribution of what may be negative, such as the error of a timer: the same buckets on both sides of
/// zero. Counts as two distributions in TelemetryOptions.
class SignedDistribution {
public:
    /// As Distribution.
    SignedDistribution(Telemetry& telemetry, std::string_view name, std::string_view help,
                       std::string_view unit, double ticks_per_unit = 1, const Labels& labels = {},
                       std::source_location where = std::source_location::current());

    /// Any thread.
    void record(std::int64_t ticks) noexcept {
        if (ticks >= 0) [[likely]]
            detail::record(cell_, static_cast<std::uint64_t>(ticks));
        else
            detail::record_below_zero(cell_, -static_cast<std::uint64_t>(ticks));
    }
    /// A value in units, rounded to whole ticks (at least one, or minus one, if it is not zero). Any thread.
    void record_value(double value) noexcept { detail::record_value(cell_, value); }

private:
    detail::DistributionCell cell_;
};

/// A Distribution of elapsed seconds, kept in nanoseconds.
class Duration {
public:
    /// `name` ends in "_seconds" by convention. Throws as Counter does.
    Duration(Telemetry& telemetry, std::string_view name, std::string_view help, const Labels& labels = {},
             std::source_location where = std::source_location::current())
        : distribution_(telemetry, name, help, "seconds", 1e9, labels, where) {}

    /// Any thread. Negative durations count as zero.
    void record(std::chrono::nanoseconds elapsed) noexcept {
        distribution_.record(elapsed.count() > 0 ? static_cast<std::uint64_t>(elapsed.count()) : 0);
    }

    /// Records the time from here to the end of the scope. The clock is the processor's time-stamp counter
    /// where the kernel trusts it (rate known to 0.01 %), CLOCK_MONOTONIC otherwise.
    class Timer {
    public:
        explicit Timer(Duration& duration) noexcept : duration_(&duration), start_(detail::section_now()) {}
        ~Timer() {
            detail::record_later(duration_->distribution_.cell_,
                                 detail::section_nanoseconds(start_, detail::section_now()));
        }
        Timer(const Timer&) = delete;
        Timer& operator=(const Timer&) = delete;

    private:
        Duration* duration_;
        std::uint64_t start_;
    };
    [[nodiscard]] Timer time() noexcept { return Timer(*this); }

    /// What `work` returns, having recorded how long it took; also if it throws.
    template <class Work>
    decltype(auto) timed(Work&& work) {
        const Timer timer(*this);
        return std::forward<Work>(work)();
    }

private:
    Distribution distribution_;
};

/// A Distribution of the seconds between one tick and the next of the same process.
class Interval {
public:
    /// Throws as Counter does.
    Interval(Telemetry& telemetry, std::string_view name, std::string_view help, const Labels& labels = {},
             std::source_location where = std::source_location::current());

    /// Any thread. The first one of a process only starts the time.
    void tick() noexcept { tick_at(detail::section_now()); }

private:
    friend class detail::StateTable;
    /// For those who have read the clock already.
    void tick_at(std::uint64_t now) noexcept;

    detail::DistributionCell cell_;  // with the process' last tick, in section_now(), behind its head
};

}  // namespace signalbox
