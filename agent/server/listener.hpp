// A bound, listening socket and what is served on it, whatever the protocol.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "signalbox/group.hpp"

namespace signalbox::server {

struct Listener;
class StreamService;
struct Transport;
struct WorkerContext;

/// What connections speak. Made before the fork, shared by all workers.
class Protocol {
public:
    virtual ~Protocol() = default;
    /// At most 11 bytes: "http".
    virtual std::string_view name() const = 0;
    /// What somebody is told, in plain text, who is turned away. Empty: nothing; the connection is reset.
    virtual std::string_view unavailable() const = 0;
    /// In a worker, after the fork. Both outlive it.
    virtual std::unique_ptr<StreamService> make_service(WorkerContext& context,
                                                        const Listener& listener) const = 0;
};

/// Made before the fork, shared by all workers.
struct Listener {
    int socket = -1;
    /// `socket`, and with Accept::reuseport those of the slots behind the first; see reuseport.hpp.
    std::vector<int> slot_sockets{socket};
    unsigned index = 0;  ///< in the group's list and in the seat's queues
    std::string address;
    bool is_unix = false;
    ListenerOptions options;
    std::shared_ptr<const Protocol> protocol{};
    std::shared_ptr<Transport> transport{};             ///< of make_transport(); null: plain text
    Tunable<std::chrono::milliseconds> queue_deadline;  ///< what holds, rather than the one in `options`
};

/// Binds and listens (SO_REUSEADDR, close-on-exec); the protocol is still to be said. `address` as in Group::http.
/// Throws std::system_error naming the address.
std::shared_ptr<Listener> bind_listener(std::string_view address, ListenerOptions options, unsigned index);

/// The kernel tells of a connection when its client has said something, or after `most`. With all its sockets; unix sockets
/// do not know that.
void defer_accept(const Listener& listener, std::chrono::seconds most);

}  // namespace signalbox::server
