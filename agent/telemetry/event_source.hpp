// Where the events of this process go: the rings of the seat that it has attached to, and a tap for log sinks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "agent/telemetry/action_table.hpp"
#include "agent/telemetry/event_ring.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::telemetry {

/// Gets every event as well, on the thread that it happens on.
class EventTap {
public:
    virtual ~EventTap() = default;
    /// Must not block. `event` and what it refers to are valid only during the call.
    virtual void offer(const NewEvent& event) noexcept = 0;
};

/// One in each Telemetry.
class EventSource {
public:
    explicit EventSource(Telemetry& telemetry);

    /// As Telemetry does. A tap that was set before a fork is dropped: its reader is in the other process.
    void attach(unsigned seat) noexcept;
    void detach() noexcept;

    /// Fills in time (unless it is there), process and generation. Any thread; never waits, never throws.
    void write(NewEvent event) noexcept;

    /// Not 0; another one each time, until 2^32 - 1 actions have begun.
    std::uint32_t next_action() noexcept;
    ActionTable& actions() noexcept { return actions_; }

    /// A tap lives as long as the source: a thread may be offering something to it just now. Setting and removing
    /// them is for one thread.
    void set_tap(std::shared_ptr<EventTap> tap);
    /// If it is the present one.
    void remove_tap(EventTap& tap) noexcept;

private:
    Segment& segment_;
    ActionTable actions_;
    std::atomic<bool> attached_{false};
    unsigned seat_ = 0;  // these change only in attach(), which comes before threads
    std::uint64_t generation_ = 0;
    std::uint32_t pid_ = 0;
    std::atomic<std::uint32_t> last_action_{0};
    std::atomic<EventTap*> tap_{nullptr};
    std::uint32_t tap_pid_ = 0;
    std::vector<std::shared_ptr<EventTap>> taps_;
};

}  // namespace signalbox::telemetry
