// Takes connections from a listening socket: into the accept queue, or away again.
//
// What does not fit into the queue, or would wait in it for too long (see admission.hpp), is shed here and now: what
// the protocol has to say then, a 503 that says when to come back and a short linger, or a reset.
//
// A connection is served only while a descriptor is in reserve. When the process has no other left, the
// reserve's place takes those that wait, one after another: each is answered 503 and closed. The first
// descriptor that comes free, whoever frees it, is the reserve again, and from then on connections are
// served. Meanwhile the event loop, told by AcceptQueue::note_shortage(), closes those that have waited long for a client.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "agent/server/accept_queue.hpp"
#include "agent/server/lingering.hpp"
#include "agent/server/listener.hpp"
#include "agent/server/metrics.hpp"

namespace signalbox::server {

/// Says on a fresh connection what its protocol says to those who are turned away, as far as it fits, without
/// waiting; the caller shuts down or closes what is written to then. A client that speaks TLS gets the alert internal_error: text would look like a broken record. False:
/// the protocol says nothing, and closing resets the connection.
bool send_unavailable(const Listener& listener, int descriptor);
/// Does that and takes the descriptor.
void turn_away(const Listener& listener, int descriptor, LingeringSockets& lingering, std::uint64_t now);

/// One thread uses it: the event loop, or the stand-in.
class Doorkeeper {
public:
    enum class Result {
        taken,        ///< a connection; perhaps more wait
        none,         ///< none waits, or accept4 was interrupted
        retry_later,  ///< none can be taken now; try again in some milliseconds
    };

    Doorkeeper(const Listener& listener, AcceptQueue& queue, ServerMetrics& metrics);
    ~Doorkeeper();
    Doorkeeper(const Doorkeeper&) = delete;
    Doorkeeper& operator=(const Doorkeeper&) = delete;

    /// One connection from `socket`, into the queue. `away_ns`: nobody has looked for so long, so it may have waited in the
    /// kernel.
    Result accept_one(int socket, std::uint64_t away_ns = 0);
    /// One connection that is served now: the queue is empty. Result::taken without a descriptor: it came to nothing.
    Result accept_now(int socket, std::uint64_t now, AcceptedSocket& taken);
    /// Looks after those that were turned away; every 100 ms or so.
    void sweep(std::uint64_t now) { lingering_.sweep(now); }
    /// Whether all of them have read their answer, or have had their time.
    bool idle() const { return lingering_.empty(); }

private:
    Result accept(int socket, AcceptedSocket& taken);
    Result give_up_reserve();
    bool restore_reserve();
    void turn_away_and_keep_the_place(int descriptor);

    const Listener& listener_;
    AcceptQueue& queue_;
    ServerMetrics& metrics_;
    LingeringSockets lingering_;
    int reserve_;  ///< a descriptor to give up when there is no other to accept with; -1: given up
};

}  // namespace signalbox::server
