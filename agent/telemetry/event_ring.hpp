// A ring of events in shared memory: many writers (threads of one process), any number of readers in other
// processes.
//
// A writer claims a place with one atomic addition and never waits; readers copy a record and check its
// sequence number before and after, so a torn or half-written record is skipped, not misread. The newest
// kEventRingRecords are kept.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/telemetry/layout.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::telemetry {

/// A record as read; times are CLOCK_MONOTONIC.
struct RawEvent {
    std::uint64_t number = 0;  ///< in its ring, from 0
    std::uint64_t monotonic_ns = 0;
    std::uint64_t generation = 0;
    std::uint32_t pid = 0;
    wire::Severity severity = wire::Severity::info;
    std::string name;
    std::string text;
};

/// The writing end.
class EventRing {
public:
    EventRing(EventRecord* records, AtomicWord& head) : records_(records), head_(&head) {}

    /// Name and text are cut to fit 224 bytes together, at a character boundary. Any thread; never waits.
    void append(std::uint64_t monotonic_ns, std::uint32_t pid, std::uint64_t generation,
                wire::Severity severity, std::string_view name, std::string_view text) const noexcept;

private:
    EventRecord* records_;
    AtomicWord* head_;
};

/// Appends the records from number `next` on to `out` and moves `next` past them. Returns how many were
/// overwritten before they could be read. Stops early at a record that is still being written, unless it has
/// been for long (the ring has moved on by half its length), or `writer_is_gone`: then it is skipped.
std::uint64_t read_events(const EventRecord* records, const AtomicWord& head_word, std::uint64_t& next,
                          std::vector<RawEvent>& out, bool writer_is_gone = false);

}  // namespace signalbox::telemetry
