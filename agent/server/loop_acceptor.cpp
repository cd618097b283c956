#include "agent/server/loop_acceptor.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <system_error>

#include "agent/server/exclusive_wait.hpp"
#include "agent/server/reuseport.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::server {

namespace {

/// Before other connections have their turn. What is refused costs some microseconds, what is let in less.
constexpr int kPerTurn = 64;
/// A loop that was away for less has kept nobody waiting that would matter.
constexpr std::uint64_t kAway = 50'000'000;

int duplicate(int socket) {
    const int copy = ::dup(socket);
    if (copy < 0) throw std::system_error(errno, std::generic_category(), "dup of a listening socket");
    return copy;
}

}  // namespace

LoopAcceptor::Source::Source(WorkerContext& context, int socket)
    : descriptor(context.io, duplicate(socket)) {}

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
    auto source = std::make_shared<Source>(context_, socket);
    sources_[slot] = source;
    if (listener_.options.accept == Accept::exclusive) wait_exclusively(source->descriptor.native_handle());
    accept_all(source);
}

void LoopAcceptor::accept_all(const SharedSource& source) {
    const std::uint64_t now = telemetry::monotonic_ns();
    const std::uint64_t away = now - looked_ns_ > kAway ? now - looked_ns_ : 0;
    for (int taken = 0; taken < kPerTurn; ++taken) {
        switch (door_.accept_one(source->descriptor.native_handle(), away)) {
            case Doorkeeper::Result::taken:
                break;
            case Doorkeeper::Result::none:
                looked_ns_ = now;
                return wait(source);
            case Doorkeeper::Result::retry_later:
                return wait(source);  // the next heartbeat tries again
        }
    }
    boost::asio::post(context_.io, [this, alive = std::weak_ptr(alive_), source] {
        if (alive.lock() && source->descriptor.is_open()) accept_all(source);
    });
}

void LoopAcceptor::wait(const SharedSource& source) {
    source->descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                  [this, alive = std::weak_ptr(alive_), source](auto ec) {
                                      if (!ec && alive.lock() && source->descriptor.is_open())
                                          accept_all(source);
                                  });
}

void LoopAcceptor::stop() {
    for (SharedSource& source : sources_) {
        if (!source) continue;
        source->descriptor.close();
        source.reset();
    }
    alive_.reset();
}

/// Also what somebody else has been woken for and never took, or what was given up for want of descriptors. A heartbeat is
/// what it takes until the socket of a slot that has lost its worker is noticed.
void LoopAcceptor::look_after(std::uint64_t now) {
    door_.sweep(now);
    if (!alive_) return;
    if (listener_.options.accept == Accept::reuseport) {
        for (unsigned slot = 0; slot < sources_.size(); ++slot) {
            if (slot == context_.seat.slot()) continue;
            const bool own = keeper_of(context_.seat.segment(), slot) == context_.seat.slot();
            if (own) {
                open(slot);
            } else if (sources_[slot]) {
                sources_[slot]->descriptor.close();
                sources_[slot].reset();
            }
        }
    }
    for (const SharedSource& source : sources_) {
        if (!source) continue;
        source->descriptor.cancel();
        accept_all(source);
    }
}

}  // namespace signalbox::server
