// Accepting in the event loop: from the shared socket, with EPOLLEXCLUSIVE, or from a socket of the worker's own slot and
// those that nobody else looks after (see reuseport.hpp).
//
// When the loop comes back to it, it accepts all that wait, so that they are in the queue, where they are seen, or refused.
// What came while it was away has waited in the kernel; how long, the kernel says.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <vector>

#include "agent/server/acceptor.hpp"
#include "agent/server/doorkeeper.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

class LoopAcceptor final : public Acceptor {
public:
    /// Starts. Everything outlives it but the io_context, which may have been stopped.
    LoopAcceptor(WorkerContext& context, const Listener& listener, AcceptQueue& queue);

    void stop() override;
    void look_after(std::uint64_t now) override;
    bool finished() const override { return door_.idle(); }

private:
    /// One of the sockets. Shared with what waits for it, since that may end after the acceptor.
    struct Source {
        Source(WorkerContext& context, int socket);
        boost::asio::posix::stream_descriptor descriptor;  ///< a duplicate: Asio closes what it has
    };
    using SharedSource = std::shared_ptr<Source>;

    void open(unsigned slot);
    void accept_all(const SharedSource& source);
    void wait(const SharedSource& source);

    WorkerContext& context_;
    const Listener& listener_;
    AcceptQueue& queue_;
    Doorkeeper door_;
    std::vector<SharedSource> sources_;  ///< by slot; null: somebody else's
    std::uint64_t looked_ns_ = 0;        ///< when it last accepted all that waited
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace signalbox::server
