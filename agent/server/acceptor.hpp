// What takes a listener's connections for a worker: its event loop alone, or with a thread that stands in for it.
#pragma once

#include <cstdint>

namespace signalbox::server {

/// Used by the event loop's thread.
class Acceptor {
public:
    Acceptor() = default;
    virtual ~Acceptor() = default;
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;

    /// Returns when nothing is accepted any more; what has been accepted is in the queue.
    virtual void stop() = 0;
    /// To be called at every heartbeat, also after stop().
    virtual void look_after(std::uint64_t) {}
    /// Somebody has woken the event loop: another worker leaves something to this one, perhaps.
    virtual void woken() {}
    /// After stop(): what it has shed has been read as well, and the destructor does not wait.
    virtual bool finished() const = 0;
};

}  // namespace signalbox::server
