// Accepting in the event loop alone: from the shared socket, with EPOLLEXCLUSIVE, or from a socket of the worker's own slot and
// those that nobody else looks after (see reuseport.hpp).
//
// When the loop comes back to it, it accepts all that wait, so that they are in the queue, where they are seen, or refused.
// What came while it was away has waited in the kernel; how long, the kernel says.
#pragma once

#include <memory>
#include <vector>

#include "agent/server/acceptor.hpp"
#include "agent/server/doorkeeper.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

class LoopAcceptor final : public Acceptor {
public:
    /// Starts. Everything outlives it.
    LoopAcceptor(WorkerContext& context, const Listener& listener, AcceptQueue& queue);

    void stop() override;
    void look_after(std::uint64_t now) override;
    bool finished() const override { return door_.idle(); }

private:
    void open(unsigned slot);
    void accept_all(unsigned slot);

    WorkerContext& context_;
    const Listener& listener_;
    AcceptQueue& queue_;
    Doorkeeper door_;
    std::vector<std::unique_ptr<DescriptorWatch>> sources_;  ///< by slot; null: somebody else's
    std::uint64_t looked_ns_ = 0;                            ///< when it last accepted all that waited
    bool stopped_ = false;
};

}  // namespace signalbox::server
