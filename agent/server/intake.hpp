// The event loop's end of an accept queue: turns what waits into connections, a few at a time, so that those
// which run are not starved; sheds what has waited too long. When descriptors run short, connections that have long
// waited for their clients make way for new ones, so that many slow clients cannot shut out the others.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>

#include "agent/server/accept_queue.hpp"
#include "agent/server/load.hpp"
#include "agent/server/transport/reception.hpp"
#include "agent/server/worker.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

class Intake {
public:
    Intake(WorkerContext& context, std::shared_ptr<const HttpListener> listener, AcceptQueue& queue,
           LastTurn& last_turn);

    void start() { take_some(); }
    /// To be called once a second.
    void look_after(std::uint64_t now);

private:
    void take_some();
    void sleep();
    void open(const AcceptedSocket& socket, std::uint64_t now);

    WorkerContext& context_;
    std::shared_ptr<const HttpListener> listener_;
    AcceptQueue& queue_;
    LastTurn& last_turn_;
    const int few_left_;                        ///< from this descriptor on
    std::unique_ptr<StreamService> service_;    ///< with a transport
    std::optional<WorkerTransport> transport_;  ///< none: plain text
    boost::asio::posix::stream_descriptor wakeup_;
    std::uint64_t wakeups_ = 0;
};

}  // namespace signalbox::server
