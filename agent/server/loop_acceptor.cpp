#include "agent/server/loop_acceptor.hpp"

#include <sys/socket.h>

#include "agent/server/reuseport.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::server {

namespace {

/// Before other connections have their turn. What is refused costs some microseconds, what is let in less.
constexpr int kPerTurn = 64;
/// A loop that was away for less has kept nobody waiting that would matter.
constexpr std::uint64_t kAway = 50'000'000;

}  // namespace

LoopAcceptor::LoopAcceptor(WorkerContext& context, const Listener& listener, AcceptQueue& queue)
    : context_(context),
      listener_(listener),
      queue_(queue),
      door_(listener, queue, context.metrics),
      sources_(listener.slot_sockets.size()),
      looked_ns_(telemetry::monotonic_ns()) {
    const bool shared = listener.options.accept != Accept::reuseport;
    open(shared ? 0 : context.seat.slot());
}

void LoopAcceptor::open(unsigned slot) {
    if (slot >= sources_.size() || sources_[slot]) return;
    const int socket = listener_.slot_sockets[slot];
    if (slot == context_.seat.slot()) ::listen(socket, listener_.options.backlog);
    using How = DescriptorWatch::How;
    sources_[slot] = std::make_unique<DescriptorWatch>(
        context_.poller, socket,
        listener_.options.accept == Accept::exclusive ? How::one_of_many : How::alone,
        [this, slot] { accept_all(slot); });
}

void LoopAcceptor::accept_all(unsigned slot) {
    const int socket = listener_.slot_sockets[slot];
    const std::uint64_t now = telemetry::monotonic_ns();
    const std::uint64_t away = now - looked_ns_ > kAway ? now - looked_ns_ : 0;
    for (int taken = 0; taken < kPerTurn; ++taken) {
        switch (door_.accept_one(socket, away)) {
            case Doorkeeper::Result::taken:
                break;
            case Doorkeeper::Result::none:
                looked_ns_ = now;
                return;
            case Doorkeeper::Result::retry_later:
                return sources_[slot]->pause();  // the next heartbeat tries again
        }
    }
}

void LoopAcceptor::stop() {
    sources_.clear();
    stopped_ = true;
}

/// Also what somebody else was woken for and never took, and what was given up for want of descriptors. A heartbeat is what
/// it takes until the socket of a slot that has lost its worker is noticed.
void LoopAcceptor::look_after(std::uint64_t now) {
    door_.sweep(now);
    if (stopped_) return;
    if (listener_.options.accept == Accept::reuseport) {
        for (unsigned slot = 0; slot < sources_.size(); ++slot) {
            if (slot == context_.seat.slot()) continue;
            const bool own = keeper_of(context_.seat.segment(), slot) == context_.seat.slot();
            if (own)
                open(slot);
            else
                sources_[slot].reset();
        }
    }
    for (unsigned slot = 0; slot < sources_.size(); ++slot) {
        if (!sources_[slot]) continue;
        sources_[slot]->resume();
        accept_all(slot);
    }
}

}  // namespace signalbox::server
