#include "agent/server/handled_connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "agent/server/handler_failure.hpp"

namespace signalbox::server {

HandledConnection::HandledConnection(WorkerContext& context, std::shared_ptr<HandlerSite> site,
                                     std::string peer)
    : context_(context),
      site_(std::move(site)),
      peer_(std::move(peer)),
      shown_(context.table.open(peer_, telemetry::monotonic_ns())) {
    ++site_->open;
    context_.opened(*this);
}

HandledConnection::~HandledConnection() {
    if (left_) return;
    site_->failures.with("The worker has ended").add();
    --site_->open;
    context_.abandoned(*this);
}

void HandledConnection::begin(std::uint64_t now) {
    shown_.enter(telemetry::ConnectionState::handling, now);
    // Not here, in the middle of taking connections from the queue: a handler may take its time.
    boost::asio::post(context_.io, [self = shared_from_this()] {
        const auto activity =
            self->context_.seat.activity(self->site_->address + ", connection of " + self->peer_);
        boost::asio::co_spawn(self->context_.io, run(self), boost::asio::detached);
    });
}

awaitable<void> HandledConnection::run(std::shared_ptr<HandledConnection> connection) {
    std::exception_ptr failure;
    try {
        co_await connection->handle();
    } catch (...) {
        failure = std::current_exception();
    }
    connection->handler_ended(failure);
}

/// The object was dropped in this very turn, if the handler still had it.
void HandledConnection::handler_ended(const std::exception_ptr& failure) {
    handler_ended_ = true;
    if (failure) {
        end = whose_fault();
        say(failure);
    }
    if (failure || dropped_) finish(failure);
    leave_if_over();
}

void HandledConnection::say(const std::exception_ptr& failure) {
    site_->failures.with(name_of(failure)).add();
    if (end != End::handler || !site_->failures_said.allows(telemetry::monotonic_ns())) return;
    std::string text = site_->address + ", connection of " + peer_ + ": " + message_of(failure);
    if (const unsigned more = site_->failures_said.take_suppressed())
        text += " (and " + std::to_string(more) + " more were not shown: at most 5 a minute are)";
    context_.seat.log(wire::Severity::error, "handler_failed", text);
}

void HandledConnection::drop() {
    dropped_ = true;
    if (context_.io.stopped()) return;  // everything ends
    if (handler_ended_) return finish(nullptr);
    // Later: the handler may be about to end with an exception, and the peer is to notice.
    boost::asio::post(context_.io, [self = shared_from_this()] { self->finish(nullptr); });
}

void HandledConnection::closed() {
    if (std::exchange(closed_, true)) return;
    shown_.close();
    context_.deadlines.clear(*this);
    leave_if_over();
}

void HandledConnection::leave_if_over() {
    if (!closed_ || !handler_ended_ || std::exchange(left_, true)) return;
    --site_->open;
    context_.closed(*this);
}

}  // namespace signalbox::server
