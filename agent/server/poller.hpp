// What the sockets of a worker wait with: an epoll set of their own within the event loop, edge-triggered.
//
// Asio's sockets try to read before they wait; on a connection that has just been answered that is a system call which
// finds nothing. And to wait without trying costs them an epoll_ctl. Here a socket is registered once, for both
// directions, and whoever has read until nothing was left waits for more without any system call. A socket that never
// has to wait (its request was there, its answer fitted) is not registered at all.
//
// All of it belongs to the event loop's thread.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "agent/server/inline_function.hpp"

namespace signalbox::server {

class Poller {
public:
    using Executor = boost::asio::io_context::executor_type;

    /// Throws std::system_error. `io` may be made later and end sooner; abandon_all() comes before its end.
    explicit Poller(boost::asio::io_context& io);
    ~Poller();
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;

    /// Nothing runs any more: what waits is destroyed, and with it whatever it kept alive.
    void abandon_all();
    Executor get_executor() { return io_.get_executor(); }

private:
    friend class PolledSocket;
    static constexpr std::size_t kAtOnce = 64;  ///< events that are fetched in one go
    /// After so long the rest of the event loop has its turn, even if more events have been fetched: a handler may block.
    static constexpr std::uint64_t kTurnNanoseconds = 1'000'000;
    static constexpr std::uint32_t kNowhere = UINT32_MAX;

    using error_code = boost::system::error_code;
    using Waiting = InlineFunction<void(error_code)>;

    struct Entry {
        int descriptor = -1;
        std::uint32_t place = kNowhere;
        bool ended = false;           ///< the peer sends no more: no further edge can be relied on
        std::array<bool, 2> ready{};  ///< by direction: an edge has come that nobody waited for
        std::array<Waiting, 2> waiting{};
    };

    /// What the kernel knows of a socket is the number of its place here, and how often that has changed hands: an event
    /// may be older than the socket's end, and a child that has not called exec yet keeps a closed one in the set.
    struct Place {
        Entry* entry = nullptr;
        std::uint32_t generation = 0;
    };

    /// Throws std::system_error.
    void add(Entry& entry);
    void look_again(const Entry& entry);
    /// No event is delivered to it any more. The kernel's set still has it, until it is closed.
    void forget(Entry& entry);
    void remove(Entry& entry);
    epoll_event both_ways(std::uint32_t place) const;
    using Watched = boost::asio::posix::basic_stream_descriptor<Executor>;
    void wait(std::shared_ptr<Watched> watched);
    void take_turn(std::shared_ptr<Watched> watched);
    void deliver(const epoll_event& event);

    boost::asio::io_context& io_;
    const int set_;
    std::array<epoll_event, kAtOnce> events_{};
    std::size_t next_ = 0;     ///< of the events, to be delivered
    std::size_t fetched_ = 0;  ///< events
    std::vector<Place> places_;
    std::vector<std::uint32_t> vacant_;
    int unwatched_;  ///< the same set for Asio to watch, which may end first; -1: it does so. Made here, since descriptors
                     ///< may be short when the first socket waits
};

/// A connected, non-blocking socket that waits with a Poller. Closes it in the end.
class PolledSocket {
public:
    using error_code = boost::system::error_code;
    enum wait_type { wait_read, wait_write };

    PolledSocket(Poller& poller, int descriptor)
        : poller_(&poller), entry_(std::make_unique<Poller::Entry>()) {
        entry_->descriptor = descriptor;
    }
    PolledSocket(PolledSocket&&) noexcept = default;
    PolledSocket& operator=(PolledSocket&&) = delete;
    ~PolledSocket() {
        if (entry_) close();
    }

    Poller::Executor get_executor() { return poller_->get_executor(); }
    int native_handle() const { return entry_->descriptor; }

    /// Calls handler(error_code) when the socket is readable, or writable, as it may be already; with operation_aborted
    /// if it is closed or released before. At most one handler waits in each direction.
    template <class Handler>
    void async_wait(wait_type direction, Handler&& handler) {
        if (is_ready(direction)) return complete(direction, std::forward<Handler>(handler));
        entry_->waiting[direction] = std::forward<Handler>(handler);
        is_registered() ? poller_->look_again(*entry_) : poller_->add(*entry_);
    }
    /// The same for whoever has just seen that there is nothing: a read gave less than asked, a write took less than
    /// given, or EAGAIN. Costs no system call from the second time on.
    template <class Handler>
    void async_wait_for_more(wait_type direction, Handler&& handler) {
        if (is_ready(direction)) return complete(direction, std::forward<Handler>(handler));
        entry_->waiting[direction] = std::forward<Handler>(handler);
        if (!is_registered()) poller_->add(*entry_);
    }
    /// What has come since the last time that somebody waited has not been looked at yet; or nothing more will be told.
    bool is_ready(wait_type direction) const {
        return entry_->ready[direction] || (entry_->ended && direction == wait_read);
    }

    void close() noexcept;
    /// Gives the descriptor away; -1 if it is closed.
    int release();

private:
    bool is_registered() const { return entry_->place != Poller::kNowhere; }
    template <class Handler>
    void complete(wait_type direction, Handler&& handler) {
        entry_->ready[direction] = false;
        boost::asio::post(get_executor(),
                          [handler = std::forward<Handler>(handler)]() mutable { handler(error_code()); });
    }
    void abandon();

    Poller* poller_;
    std::unique_ptr<Poller::Entry> entry_;
};

}  // namespace signalbox::server
