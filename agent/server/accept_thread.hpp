// The thread that blocks in accept4 on a listener's shared socket, so that the kernel's queue is emptied at
// once even while the event loop is busy, and so that the kernel wakes one worker for one connection. What becomes of
// the connection is the Doorkeeper's business.
//
// A worker that should leave the next connection to the others (see load.hpp) does not block in accept4 meanwhile: it
// sleeps, at first for 50 µs, at last for 10 ms, until it is its turn. If somebody waits for 5 ms and none of the others
// comes that have fewer connections, it accepts.
#pragma once

#include <atomic>
#include <thread>

#include "agent/server/acceptor.hpp"
#include "agent/server/doorkeeper.hpp"
#include "agent/server/load.hpp"

namespace signalbox::server {

class AcceptThread final : public Acceptor {
public:
    /// Starts. Everything outlives the thread.
    AcceptThread(const Listener& listener, AcceptQueue& queue, LoadView load, ServerMetrics& metrics);
    /// Stops; waits until what it has shed has been read, at most a second.
    ~AcceptThread() override;

    void stop() override;
    bool finished() const override { return finished_; }

private:
    void run();
    LoadView::Reason why_others_go_first() const;
    void wait_for_the_others();

    const int socket_;
    AcceptQueue& queue_;
    LoadView load_;
    Doorkeeper door_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> stopped_{false};
    std::atomic<bool> finished_{false};
    std::thread thread_;  ///< last: it uses the rest
};

}  // namespace signalbox::server
