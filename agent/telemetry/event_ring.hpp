// A ring of events in shared memory: many writers (threads of one process), any number of readers in other
// processes.
//
// A writer claims a place with one atomic addition and never waits; readers copy a record and check its
// sequence number before and after, so a torn or half-written record is skipped, not misread. The newest
// records are kept, as many as the ring has places.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/telemetry/layout.hpp"
#include "common/wire/event.hpp"

namespace signalbox::telemetry {

inline constexpr std::size_t kMaxEventName = 64;

/// A record to be written.
struct NewEvent {
    std::uint64_t monotonic_ns = 0;
    std::uint64_t generation = 0;
    std::uint32_t pid = 0;
    wire::Severity severity = wire::Severity::info;
    std::string_view name{};
    std::string_view text{};
    wire::EventKind kind = wire::EventKind::event;
    std::uint32_t action = 0;  ///< ties begin to end; 0: none
    std::uint64_t duration_ns = 0;
    std::string_view fields{};  ///< as FieldBuffer writes them
    bool cut = false;           ///< there was more than this already
};

/// A record as read; times are CLOCK_MONOTONIC.
struct RawEvent {
    std::uint64_t number = 0;  ///< in its ring, from 0
    std::uint64_t monotonic_ns = 0;
    std::uint64_t generation = 0;
    std::uint32_t pid = 0;
    wire::Severity severity = wire::Severity::info;
    std::string name;
    std::string text;
    wire::EventKind kind = wire::EventKind::event;
    std::uint32_t action = 0;
    std::uint64_t duration_ns = 0;
    std::vector<wire::Field> fields;
    bool cut = false;  ///< text or fields did not all fit
};

/// Goes to a seat's action ring, not to its event ring.
constexpr bool is_chatter(wire::EventKind kind, wire::Severity severity) {
    return kind == wire::EventKind::begin || kind == wire::EventKind::success ||
           severity == wire::Severity::debug;
}

/// The writing end.
class EventRing {
public:
    EventRing(EventRecord* records, std::uint32_t size, AtomicWord& head)
        : records_(records), size_(size), head_(&head) {}

    /// Any thread; never waits. Name (at most 64 bytes), text and fields share 336 bytes: the text is cut at a
    /// character, but takes room from the fields only beyond their first 160 bytes; fields that then do not fit are
    /// left out whole. The record says if anything was.
    void append(const NewEvent& event) const noexcept;
    void append(std::uint64_t monotonic_ns, std::uint32_t pid, std::uint64_t generation,
                wire::Severity severity, std::string_view name, std::string_view text) const noexcept {
        append({monotonic_ns, generation, pid, severity, name, text});
    }

private:
    EventRecord* records_;
    std::uint32_t size_;
    AtomicWord* head_;
};

/// The reading end: `size` records, of which head says how many have been written or claimed so far.
struct EventRingView {
    const EventRecord* records;
    std::uint32_t size;
    const AtomicWord& head;
};

/// Appends the records from number `next` on to `out` and moves `next` past them. Returns how many were
/// overwritten before they could be read. Stops early at a record that is still being written, unless it has
/// been for long (the ring has moved on by half its length), or `writer_is_gone`: then it is skipped.
std::uint64_t read_events(const EventRingView& ring, std::uint64_t& next, std::vector<RawEvent>& out,
                          bool writer_is_gone = false);

}  // namespace signalbox::telemetry
