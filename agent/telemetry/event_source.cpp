#include "agent/telemetry/event_source.hpp"

#include <unistd.h>

#include <utility>

#include "agent/telemetry/seat.hpp"

namespace signalbox::telemetry {

EventSource::EventSource(Telemetry& telemetry) : segment_(telemetry.segment()), actions_(telemetry) {}

void EventSource::attach(unsigned seat) noexcept {
    seat_ = seat;
    generation_ = segment_.seat(seat)->generation.load(std::memory_order_relaxed);
    pid_ = static_cast<std::uint32_t>(::getpid());
    if (tap_pid_ != pid_) tap_.store(nullptr, std::memory_order_release);
    attached_.store(true, std::memory_order_release);
}

void EventSource::detach() noexcept {
    attached_.store(false, std::memory_order_release);
}

void EventSource::write(NewEvent event) noexcept {
    EventTap* const tap = tap_.load(std::memory_order_acquire);
    const bool attached = attached_.load(std::memory_order_acquire);
    if (!tap && !attached) return;
    if (event.monotonic_ns == 0) event.monotonic_ns = monotonic_ns();
    event.pid = attached ? pid_ : static_cast<std::uint32_t>(::getpid());
    if (attached) {
        event.generation = generation_;
        const EventRing ring =
            is_chatter(event.kind, event.severity) ? segment_.seat_actions(seat_) : segment_.seat_ring(seat_);
        ring.append(event);
    }
    if (tap) tap->offer(event);
}

std::uint32_t EventSource::next_action() noexcept {
    const std::uint32_t id = last_action_.fetch_add(1, std::memory_order_relaxed) + 1;
    return id != 0 ? id : next_action();
}

void EventSource::set_tap(std::shared_ptr<EventTap> tap) {
    taps_.push_back(std::move(tap));
    tap_pid_ = static_cast<std::uint32_t>(::getpid());
    tap_.store(taps_.back().get(), std::memory_order_release);
}

void EventSource::remove_tap(EventTap& tap) noexcept {
    EventTap* expected = &tap;
    tap_.compare_exchange_strong(expected, nullptr, std::memory_order_acq_rel);
}

}  // namespace signalbox::telemetry
