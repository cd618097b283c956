// The thread that blocks in accept4 on a listener's shared socket, so that the kernel's queue is emptied at
// once even while the event loop is busy, and so that the kernel wakes one worker for one connection.
//
// What does not fit into the queue is shed here and now: a 503 that says when to come back, then a short
// linger.
//
// A connection is served only while a descriptor is in reserve. When the process has no other left, the
// reserve's place takes those that wait, one after another: each is answered 503 and closed. The first
// descriptor that comes free, whoever frees it, is the reserve again, and from then on connections are
// served. Meanwhile the event loop, told by AcceptQueue::note_shortage(), closes those that have waited long for a client.
#pragma once

#include <atomic>
#include <thread>

#include "agent/server/accept_queue.hpp"
#include "agent/server/lingering.hpp"
#include "agent/server/load.hpp"
#include "agent/server/metrics.hpp"
#include "agent/server/worker.hpp"

namespace signalbox::server {

/// Sends "503 Service Unavailable" with "Retry-After: 1" on a fresh connection, as far as it fits, without
/// waiting. A client that speaks TLS gets the alert internal_error: text would look like a broken record.
void send_unavailable(const HttpListener& listener, int descriptor);

class AcceptThread {
public:
    /// Starts. Everything outlives the thread.
    AcceptThread(const HttpListener& listener, AcceptQueue& queue, LoadView load, ServerMetrics& metrics);
    /// Stops; waits until what it has shed has been read, at most a second.
    ~AcceptThread();
    AcceptThread(const AcceptThread&) = delete;
    AcceptThread& operator=(const AcceptThread&) = delete;

    /// Returns when nothing is accepted any more; what has been accepted is in the queue.
    void stop();
    /// What it has shed has been read as well: the destructor does not wait.
    bool finished() const { return finished_; }

private:
    void run();
    void accept_one();
    void take(int descriptor, const sockaddr_storage& peer);
    void turn_away(int descriptor, std::uint64_t now);
    void give_up_reserve();
    bool restore_reserve();
    void turn_away_and_keep_the_place(int descriptor);
    bool let_others_go_first() const;

    const HttpListener& listener_;
    AcceptQueue& queue_;
    LoadView load_;
    ServerMetrics& metrics_;
    LingeringSockets lingering_;
    int reserve_;  ///< a descriptor to give up when there is no other to accept with; -1: given up
    std::atomic<bool> stopping_{false};
    std::atomic<bool> stopped_{false};
    std::atomic<bool> finished_{false};
    std::thread thread_;  ///< last: it uses the rest
};

}  // namespace signalbox::server
