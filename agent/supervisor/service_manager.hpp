// What a service manager is told: the protocol of sd_notify(3), one datagram a message.
//
//     ServiceManager manager;                       // takes NOTIFY_SOCKET and WATCHDOG_USEC out of the environment
//     manager.tell("READY=1\nSTATUS=4 workers serve");
//     manager.beat(now);                            // WATCHDOG=1, as often as is wanted
//
// Without a service manager all of this does nothing. Nothing blocks: a message that does not fit its queue is lost.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace signalbox::supervisor {

class ServiceManager {
public:
    ServiceManager();
    ~ServiceManager();
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    bool present() const { return socket_ >= 0; }
    /// Another process is the service from now on: nothing more is said.
    void leave();
    /// Assignments, one a line.
    void tell(std::string_view message);
    /// Says STATUS=, if it is another one than before.
    void status(const std::string& text);
    /// Says WATCHDOG=1 if half of the wanted period has passed; `now` is CLOCK_MONOTONIC, ns.
    void beat(std::uint64_t now);
    /// When beat() has to be called at the latest; UINT64_MAX: never.
    std::uint64_t next_beat() const { return next_beat_ns_; }
    /// For children to close; -1: none.
    int descriptor() const { return socket_; }

private:
    int socket_ = -1;
    std::uint64_t period_ns_ = 0;  ///< 0: no watchdog
    std::uint64_t next_beat_ns_ = UINT64_MAX;
    std::string status_;
};

}  // namespace signalbox::supervisor
