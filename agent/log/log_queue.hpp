// A bounded queue of events from any thread to one: nobody waits, and at steady state nothing is allocated.
//
// Each cell has a sequence number that says whose turn it is: `position` while it is free for that position's
// writer, `position + 1` when it is full. (D. Vyukov, "Bounded MPMC queue", 1024cores.net; here with one reader.)
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/telemetry/event_ring.hpp"

namespace signalbox::log {

/// An event, with a copy of what it refers to.
class QueuedEvent {
public:
    /// Throws std::bad_alloc. Texts are cut at 16 KiB.
    void assign(const telemetry::NewEvent& event);
    /// Refers to this object.
    telemetry::NewEvent event() const;
    void swap(QueuedEvent& other) noexcept;

private:
    telemetry::NewEvent plain_;  ///< but for the texts
    std::size_t name_bytes_ = 0;
    std::size_t text_bytes_ = 0;
    std::string payload_;  ///< name, text, fields
};

class LogQueue {
public:
    /// `capacity`: a power of two.
    explicit LogQueue(std::size_t capacity);

    /// Any thread. False: there is no room, or no memory.
    bool push(const telemetry::NewEvent& event) noexcept;
    /// One thread. Moves the first event into `out`, whose memory serves the queue further; false: there is none.
    bool pop(QueuedEvent& out) noexcept;
    bool empty() const noexcept;

private:
    struct Cell {
        std::atomic<std::size_t> turn;
        bool whole = true;  ///< false: there was no memory for it
        QueuedEvent content;
    };

    std::size_t mask_;
    std::unique_ptr<Cell[]> cells_;
    alignas(64) std::atomic<std::size_t> tail_{0};
    alignas(64) std::size_t head_ = 0;
};

}  // namespace signalbox::log
