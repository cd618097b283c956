// The event loop's end of an accept queue: turns what waits into connections, a few at a time, so that those
// which run are not starved; sheds what has waited too long. When descriptors run short, connections that have long
// waited for their clients make way for new ones, so that many slow clients cannot shut out the others.
#pragma once

#include "agent/server/accept_queue.hpp"
#include "agent/server/listener.hpp"
#include "agent/server/load.hpp"
#include "agent/server/transport/reception.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

class Intake {
public:
    Intake(WorkerContext& context, std::shared_ptr<const Listener> listener, AcceptQueue& queue,
           HandshakeThread& handshakes);

    /// Somebody has woken the event loop: the queue has got something, perhaps.
    void woken() { take_some(); }
    /// One that did not have to wait in the queue.
    void serve(const AcceptedSocket& socket, std::uint64_t now);
    /// To be called once a second.
    void look_after(std::uint64_t now);

private:
    void take_some();
    void open(const AcceptedSocket& socket, std::uint64_t now);
    void shed(const AcceptedSocket& socket, Counter& reason, std::uint64_t now);

    WorkerContext& context_;
    std::shared_ptr<const Listener> listener_;
    AcceptQueue& queue_;
    const std::unique_ptr<StreamService> service_;
    const int few_left_;                        ///< from this descriptor on
    std::optional<WorkerTransport> transport_;  ///< none: plain text
    bool comes_again_ = false;                  ///< take_some() does, in the next turn
};

}  // namespace signalbox::server
