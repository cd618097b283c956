#include "agent/telemetry/seat.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "agent/telemetry/event_ring.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::telemetry {

std::uint64_t monotonic_ns() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

SeatWriter::SeatWriter(Segment& segment, unsigned index)
    : segment_(segment), index_(index), seat_(*segment.seat(index)), generation_(load(seat_.generation)) {}

void SeatWriter::set_phase(Phase phase) {
    seat_.phase.store(static_cast<std::uint32_t>(phase), std::memory_order_release);
}

Phase SeatWriter::phase() const {
    return static_cast<Phase>(seat_.phase.load(std::memory_order_acquire));
}

SeatWriter::Activity SeatWriter::activity(std::string_view text, std::uint64_t now) {
    begin_activity(text, now);
    return Activity(*this);
}

void SeatWriter::begin_activity(std::string_view text, std::uint64_t now) {
    ActivityRecord& record = seat_.activity;
    const std::size_t length = std::min(text.size(), sizeof record.text);
    std::array<std::uint64_t, std::size(ActivityRecord{}.text)> words;
    words[length == 0 ? 0 : (length - 1) / 8] = 0;
    std::memcpy(words.data(), text.data(), length);

    const std::uint32_t sequence = record.sequence.load(std::memory_order_relaxed) | 1;
    record.sequence.store(sequence, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (std::size_t i = 0; i * 8 < length; ++i)
        record.text[i].store(words[i], std::memory_order_relaxed);
    record.length.store(static_cast<std::uint32_t>(length), std::memory_order_relaxed);
    store(record.since_monotonic_ns, now);
    record.sequence.store(sequence + 1, std::memory_order_release);
}

void SeatWriter::end_activity() {
    seat_.activity.length.store(0, std::memory_order_release);
}

QueueRecord& SeatWriter::queue(unsigned index) {
    assert(index < kMaxListeners);
    return seat_.queues[index];
}

void SeatWriter::log(wire::Severity severity, std::string_view name, std::string_view text) {
    const EventRing ring = is_chatter(wire::EventKind::event, severity) ? segment_.seat_actions(index_)
                                                                        : segment_.seat_ring(index_);
    ring.append(monotonic_ns(), static_cast<std::uint32_t>(::getpid()), generation_, severity, name, text);
}

}  // namespace signalbox::telemetry
