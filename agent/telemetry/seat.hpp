// A process' own place in the segment: heartbeat, activity, accept queues, events. What a server runtime
// writes.
//
//     SeatWriter seat(segment, index);
//     seat.set_phase(Phase::ready);
//     seat.beat();                                           // from the event loop, every 100 ms
//     { auto at = seat.activity("POST /classify from 127.0.0.1:4242"); answer(request); }
//     seat.log(wire::Severity::warning, "long_spin", "The event loop did not turn for 212 ms.");
//
// One object per process, used by its event loop's thread unless a function says otherwise. Nothing here
// blocks, allocates or (except for clock reads) calls the system.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "agent/telemetry/layout.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::telemetry {

class Segment;

/// CLOCK_MONOTONIC, the clock of everything in the segment.
std::uint64_t monotonic_ns() noexcept;

class SeatWriter {
public:
    SeatWriter(Segment& segment, unsigned index);

    unsigned index() const { return index_; }
    unsigned slot() const { return index_ / 2; }
    std::uint64_t generation() const { return generation_; }

    void set_phase(Phase phase);
    /// How often the arbiter has taken a drain back; see Seat::resumptions.
    std::uint32_t resumptions() const { return seat_.resumptions.load(std::memory_order_acquire); }
    Phase phase() const;
    void beat(std::uint64_t now = monotonic_ns()) { store(seat_.heartbeat_monotonic_ns, now); }
    /// When the event loop's turn began, and how late it was, to be kept by it.
    AtomicWord& turn_began() { return seat_.turn_began_ns; }
    AtomicHalf& late_us() { return seat_.late_us; }
    void count_request() { store(seat_.requests, load(seat_.requests) + 1); }
    void set_connections(std::uint32_t open) { seat_.connections.store(open, std::memory_order_relaxed); }
    void set_open_files(std::uint32_t files) { seat_.open_files.store(files, std::memory_order_relaxed); }

    /// Says what the event loop is at until the returned object ends. `text` is cut at 112 bytes.
    class Activity {
    public:
        explicit Activity(SeatWriter& seat) : seat_(&seat) {}
        ~Activity() { seat_->end_activity(); }
        Activity(const Activity&) = delete;
        Activity& operator=(const Activity&) = delete;

    private:
        SeatWriter* seat_;
    };
    [[nodiscard]] Activity activity(std::string_view text, std::uint64_t now = monotonic_ns());
    void begin_activity(std::string_view text, std::uint64_t now = monotonic_ns());
    void end_activity();

    /// The accept queue of listener `index` (< kMaxListeners), to be written by the event loop and
    /// whoever stands in for it.
    QueueRecord& queue(unsigned index);

    /// Appends to the seat's event ring; what is of severity debug, to its action ring. Any thread of the
    /// process. `text` is cut so that name and text fit 336 bytes.
    void log(wire::Severity severity, std::string_view name, std::string_view text);

    /// What other workers show, for load-aware accepting. Bounds are checked; the values are anybody's.
    Segment& segment() { return segment_; }

private:
    static std::uint64_t load(const AtomicWord& word) { return word.load(std::memory_order_relaxed); }
    static void store(AtomicWord& word, std::uint64_t value) { word.store(value, std::memory_order_relaxed); }

    Segment& segment_;
    unsigned index_;
    Seat& seat_;
    std::uint64_t generation_;
};

}  // namespace signalbox::telemetry
