#include "agent/server/intake.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <span>

#include <boost/asio/post.hpp>

#include "agent/server/address.hpp"
#include "agent/server/doorkeeper.hpp"

namespace signalbox::server {

namespace {

/// The kernel gives out the lowest free descriptor, so from this one on few are left: an eighth of all, which handlers
/// may need for files and connections of their own.
int first_of_the_last() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return INT_MAX;
    const std::uint64_t spare = std::min<std::uint64_t>(limit.rlim_cur / 8, 512);
    return static_cast<int>(std::min<std::uint64_t>(limit.rlim_cur - spare, INT_MAX));
}

}  // namespace

Intake::Intake(WorkerContext& context, std::shared_ptr<const Listener> listener, AcceptQueue& queue,
               HandshakeThread& handshakes)
    : context_(context),
      listener_(std::move(listener)),
      queue_(queue),
      service_(listener_->protocol->make_service(context, *listener_)),
      few_left_(first_of_the_last()) {
    if (listener_->transport) transport_.emplace(*listener_->transport, *service_, handshakes);
}

void Intake::look_after(std::uint64_t now) {
    if (!transport_ || !transport_->tls) return;
    const auto [reload, message] = transport_->tls->look_after(now);
    if (reload == TlsServer::Reload::done) {
        transport_->shared.metrics.reloads.add();
        context_.seat.log(wire::Severity::info, "tls_reloaded",
                          listener_->address + " serves a new certificate: " + message + ".");
    } else if (reload == TlsServer::Reload::refused) {
        transport_->shared.metrics.refused_reloads.add();
        context_.seat.log(wire::Severity::error, "tls_reload_failed",
                          listener_->address + " keeps its old certificate. " + message);
    }
}

void Intake::take_some() {
    const std::uint64_t now = telemetry::monotonic_ns();
    Admission& admission = queue_.admission();
    if (const std::uint64_t oldest = queue_.oldest_ns(); oldest != 0) {
        const std::uint64_t waited = now > oldest ? now - oldest : 0;
        admission.begin_turn(waited, context_.idle_ns, now);
        context_.lateness.noticed(waited);
    }
    std::array<AcceptedSocket, Admission::kMostPerTurn> sockets;
    unsigned taken = 0;
    for (const unsigned most = admission.batch(); taken < most; ++taken) {
        const auto socket = queue_.pop();
        if (!socket) break;
        sockets[taken] = *socket;
    }
    if (taken > 0) admission.took(taken);
    for (const AcceptedSocket& socket : std::span(sockets).first(taken))
        open(socket, now);
    if (queue_.take_shortage()) context_.make_room(now);
    if (comes_again_ || queue_.arm()) return;
    comes_again_ = true;
    boost::asio::post(context_.io, [this] {
        comes_again_ = false;
        take_some();
    });
}

void Intake::serve(const AcceptedSocket& socket, std::uint64_t now) {
    open(socket, now);
    if (queue_.take_shortage()) context_.make_room(now);
}

void Intake::open(const AcceptedSocket& socket, std::uint64_t now) {
    if (socket.descriptor >= few_left_) queue_.note_shortage();
    const std::chrono::nanoseconds waited(now > socket.accepted_ns ? now - socket.accepted_ns : 0);
    context_.metrics.queue_wait.record(waited);
    const std::chrono::nanoseconds deadline = listener_->queue_deadline.get();
    if (queue_.admission().gives_up(static_cast<std::uint64_t>(waited.count()), queue_.depth(),
                                    static_cast<std::uint64_t>(deadline.count())))
        return shed(socket, context_.metrics.shed_deadline, now);
    if (!service_->has_room()) return shed(socket, context_.metrics.shed_connection_limit, now);
    if (transport_) {
        return std::make_shared<Reception>(context_, *transport_,
                                           PolledSocket(context_.poller, socket.descriptor), socket.peer)
            ->start(now);
    }
    service_->serve(PlainStream(context_.poller, socket.descriptor), format_address(socket.peer), now);
}

void Intake::shed(const AcceptedSocket& socket, Counter& reason, std::uint64_t now) {
    reason.add();
    queue_.count_shed();
    turn_away(*listener_, socket.descriptor, context_.lingering, now);
}

}  // namespace signalbox::server
