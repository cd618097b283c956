#include "agent/server/intake.hpp"

#include <unistd.h>

#include <boost/asio/post.hpp>

#include "agent/server/accept_thread.hpp"
#include "agent/server/address.hpp"
#include "agent/server/http_connection.hpp"

namespace signalbox::server {

namespace {

constexpr int kPerTurn = 16;

}  // namespace

Intake::Intake(WorkerContext& context, std::shared_ptr<const HttpListener> listener, AcceptQueue& queue,
               LastTurn& last_turn)
    : context_(context),
      listener_(std::move(listener)),
      queue_(queue),
      last_turn_(last_turn),
      wakeup_(context.io, ::dup(queue.wakeup())) {}

void Intake::take_some() {
    const std::uint64_t now = telemetry::monotonic_ns();
    last_turn_.store(now, std::memory_order_relaxed);
    for (int taken = 0; taken < kPerTurn; ++taken) {
        const auto socket = queue_.pop();
        if (!socket) break;
        open(*socket, now);
    }
    if (queue_.arm())
        sleep();
    else
        boost::asio::post(context_.io, [this] { take_some(); });
}

void Intake::sleep() {
    wakeup_.async_read_some(boost::asio::buffer(&wakeups_, sizeof wakeups_),
                            [this](const boost::system::error_code& ec, std::size_t) {
                                if (!ec) take_some();
                            });
}

void Intake::open(const AcceptedSocket& socket, std::uint64_t now) {
    const std::chrono::nanoseconds waited(now > socket.accepted_ns ? now - socket.accepted_ns : 0);
    context_.metrics.queue_wait.record(waited);
    if (waited > listener_->queue_deadline.get()) {
        context_.metrics.shed_deadline.add();
        queue_.count_shed();
        send_unavailable(socket.descriptor);
        context_.lingering.add(socket.descriptor, now);
        return;
    }
    // The family of a unix client that has not bound its socket is not in its address.
    const int family = listener_->is_unix ? AF_UNIX : socket.peer.ss_family;
    std::make_shared<HttpConnection<PlainStream>>(
        context_, listener_, PlainStream(context_.io, family, socket.descriptor), format_address(socket.peer))
        ->start(now);
}

}  // namespace signalbox::server
