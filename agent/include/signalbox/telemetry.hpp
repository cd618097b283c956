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
// Recording takes no lock, no allocation and no system call. The thread that attached (the owner) records
// with plain loads and stores; any other thread of the process records in a lane beside it with atomic
// additions. In a process that has not attached, recording does nothing.
//
// Instruments are small values: copy them freely, keep them anywhere, use them after fork. Register them
// before forking where possible; registering later, in any process, works and costs microseconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "signalbox/detail/lane.hpp"

namespace signalbox {

class Seat;
namespace telemetry {
class Segment;
}

using Labels = std::vector<std::pair<std::string, std::string>>;

struct TelemetryOptions {
    std::string group{};          ///< the group's name, up to 63 bytes
    unsigned max_workers = 1;     ///< each has a slot; each slot has two seats, so that a successor can start
    unsigned instruments = 1024;  ///< at most, of all kinds
    unsigned distributions = 256;  ///< at most, of those; each may come to use 48 KiB in a process, usually 8
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

    /// From now on this process records into `seat` (0 … seats - 1), the calling thread as the owner.
    void attach(unsigned seat);
    /// Recording does nothing from now on.
    void detach();

    telemetry::Segment& segment() { return *segment_; }

private:
    std::unique_ptr<telemetry::Segment> segment_;
};

/// A total that only grows. It survives the process: the arbiter folds the dead process' part into the
/// group's.
class Counter {
public:
    /// `name` in Prometheus style, ending in "_total". Registering the same name and labels again gives the
    /// same instrument. Throws std::invalid_argument for a bad name or one that is another kind of
    /// instrument, and std::length_error when the directory is full.
    Counter(Telemetry& telemetry, std::string_view name, std::string_view help, const Labels& labels = {});

    /// Any thread. Wraps at 2^64.
    void add(std::uint64_t amount = 1) noexcept {
        const detail::Lane lane = detail::lane();
        if (lane.exclusive) [[likely]]
            detail::add_exclusively(lane.word(offset_), amount);
        else if (lane.base)
            detail::add_atomically(lane.word(offset_), amount);
        else if (detail::adopt_shared_lane())
            add(amount);
    }

private:
    std::uint32_t offset_;
};

/// A value that goes up and down: the last one set, per process.
class Gauge {
public:
    /// How the values of several workers become the group's.
    enum class Merge : std::uint8_t { sum, max };

    Gauge(Telemetry& telemetry, std::string_view name, std::string_view help, Merge merge = Merge::sum,
          const Labels& labels = {});

    /// Any thread of the process; the last one wins. A gauge has one cell per process, not one per lane.
    void set(double value) noexcept;

private:
    std::uint32_t offset_;
};

/// How values are spread: 128 exponential buckets an octave from 2^-30 to 2^34 of the base unit, so that any
/// quantile is within 0.28 % of the true one, also after merging. Integers in the hot path: a value is a
/// number of ticks.
class Distribution {
public:
    /// `ticks_per_unit`: what record() counts in. Bytes: 1. Seconds from nanoseconds: 1e9.
    Distribution(Telemetry& telemetry, std::string_view name, std::string_view help, std::string_view unit,
                 double ticks_per_unit = 1, const Labels& labels = {});

    /// Any thread; a few nanoseconds on the owner's (`./dev bench record`). Zero is counted apart from the buckets.
    void record(std::uint64_t ticks) noexcept {
        const detail::Lane lane = detail::lane();
        if (lane.exclusive) [[likely]]
            detail::record_exclusively(lane, cell_, ticks);
        else if (lane.base)
            detail::record_atomically(lane, cell_, ticks);
        else if (detail::adopt_shared_lane())
            record(ticks);
    }

private:
    detail::DistributionCell cell_;
};

/// A Distribution of elapsed seconds, kept in nanoseconds.
class Duration {
public:
    Duration(Telemetry& telemetry, std::string_view name, std::string_view help, const Labels& labels = {})
        : distribution_(telemetry, name, help, "seconds", 1e9, labels) {}

    /// Negative durations count as zero.
    void record(std::chrono::nanoseconds elapsed) noexcept {
        distribution_.record(elapsed.count() > 0 ? static_cast<std::uint64_t>(elapsed.count()) : 0);
    }

    /// Records the time from here to the end of the scope.
    class Timer {
    public:
        explicit Timer(Duration& duration) noexcept
            : duration_(&duration), start_(std::chrono::steady_clock::now()) {}
        ~Timer() { duration_->record(std::chrono::steady_clock::now() - start_); }
        Timer(const Timer&) = delete;
        Timer& operator=(const Timer&) = delete;

    private:
        Duration* duration_;
        std::chrono::steady_clock::time_point start_;
    };
    [[nodiscard]] Timer time() noexcept { return Timer(*this); }

private:
    Distribution distribution_;
};

}  // namespace signalbox
