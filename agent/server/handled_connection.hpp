// A connection that is a handler's coroutine: it is open until the handler has ended and nobody has its object any more,
// whichever comes last.
#pragma once

#include <exception>
#include <memory>
#include <string>

#include "agent/server/worker_context.hpp"
#include "agent/telemetry/rate_limit.hpp"
#include "signalbox/family.hpp"
#include "signalbox/pools.hpp"

namespace signalbox::server {

/// What those of a listener share; each worker has a copy.
struct HandlerSite {
    Family<Counter> failures;
    std::string address{};  ///< of the listener
    telemetry::PerMinute<5> failures_said{};
    unsigned open = 0;
};

class HandledConnection : public OpenConnection, public std::enable_shared_from_this<HandledConnection> {
public:
    HandledConnection(WorkerContext& context, std::shared_ptr<HandlerSite> site, std::string peer);
    ~HandledConnection() override;

    const std::string& peer() const { return peer_; }
    bool draining() const { return context_.draining; }
    /// Nobody has its object any more.
    void drop();

protected:
    /// Spawns handle().
    void begin(std::uint64_t now);
    /// Makes the object and calls the handler with it.
    virtual awaitable<void> handle() = 0;
    /// Closes it, so that the peer can tell how it has ended: `failure` is the handler's, null for none. Does nothing when
    /// it is closed.
    virtual void finish(const std::exception_ptr& failure) = 0;
    /// Whose fault it is that the handler has failed: End::handler, client or deadline.
    virtual End whose_fault() const = 0;
    /// It is closed; nothing more is said about it.
    void closed();
    bool is_closed() const { return closed_; }

    WorkerContext& context_;

private:
    static awaitable<void> run(std::shared_ptr<HandledConnection> connection);
    void handler_ended(const std::exception_ptr& failure);
    void say(const std::exception_ptr& failure);
    void leave_if_over();

    const std::shared_ptr<HandlerSite> site_;
    const std::string peer_;
    bool dropped_ = false;
    bool handler_ended_ = false;
    bool closed_ = false;
    bool left_ = false;

protected:
    telemetry::ConnectionSlot shown_;
};

}  // namespace signalbox::server
