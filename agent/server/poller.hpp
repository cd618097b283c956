// What a worker's event loop waits with: an epoll set, in which Asio's own is one descriptor among others.
//
// Asio's sockets try to read before they wait; on a connection that has just been answered that is a system call which
// finds nothing. And to wait without trying costs them an epoll_ctl. Here a socket is registered once, edge-triggered, for
// both directions, and whoever has read until nothing was left waits for more without any system call. A socket that never
// has to wait (its request was there, its answer fitted) is not registered at all.
//
// The set takes the place of Asio's reactor in the io_context (asio_task.hpp), so a turn of the loop is one epoll_wait,
// whatever it brings; and a listening socket can be waited for by several processes of which one is woken, which an epoll
// set inside another one does not offer.
//
// All of it belongs to the event loop's thread.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/server/asio_task.hpp"
#include "agent/server/inline_function.hpp"

namespace signalbox::server {

/// When the turn of an event loop began (CLOCK_MONOTONIC); 0: it waits for something to do. Written by the loop, read by
/// anybody.
using TurnBegan = std::atomic<std::uint64_t>;

class Poller final : private AsioTask {
public:
    using Executor = boost::asio::io_context::executor_type;

    /// Throws std::system_error. `io` may be made later and end sooner; abandon_all() comes before its end. `turn` outlives
    /// both.
    explicit Poller(boost::asio::io_context& io, TurnBegan* turn = nullptr);
    ~Poller();
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;

    /// Makes `io` wait with this; at the latest the first descriptor does. Before other threads use `io`.
    void attach();
    /// Nothing runs any more: what waits is destroyed, and with it whatever it kept alive.
    void abandon_all();
    Executor get_executor() { return io_.get_executor(); }
    const TurnBegan& turn() const { return *turn_; }

private:
    friend class PolledSocket;
    friend class DescriptorWatch;
    static constexpr std::size_t kAtOnce = 64;  ///< events that are fetched in one go
    /// After so long the rest of the event loop has its turn, even if more events have been fetched: a handler may block.
    static constexpr std::uint64_t kTurnNanoseconds = 1'000'000;
    static constexpr std::uint32_t kNowhere = UINT32_MAX;
    static constexpr std::uint64_t kReactor = UINT64_MAX;  ///< what the set knows Asio's by

    using error_code = boost::system::error_code;
    using Waiting = InlineFunction<void(error_code)>;

    struct Entry {
        int descriptor = -1;
        std::uint32_t place = kNowhere;
        bool ended = false;           ///< the peer sends no more: no further edge can be relied on
        std::array<bool, 2> ready{};  ///< by direction: an edge has come that nobody waited for
        std::array<Waiting, 2> waiting{};
    };

    /// What the kernel knows of a descriptor is the number of its place here, and how often that has changed hands: an
    /// event may be older than the socket's end, and a child that has not called exec yet keeps a closed one in the set.
    struct Place {
        Entry* entry = nullptr;                        ///< a connection's
        const std::function<void()>* watch = nullptr;  ///< another descriptor's
        std::uint32_t generation = 0;
    };

    // what the io_context calls
    void run(long microseconds,
             boost::asio::detail::op_queue<boost::asio::detail::scheduler_operation>& done) override;
    void interrupt() override { reactor_.task->interrupt(); }

    /// Throws std::system_error.
    std::uint32_t add(int descriptor, std::uint32_t events);
    void add(Entry& entry);
    void look_again(const Entry& entry);
    /// No event is delivered to that place any more. The kernel's set still has the descriptor, until it is closed.
    void forget(std::uint32_t& place);
    void remove(int descriptor, std::uint32_t& place);
    epoll_event event_of(std::uint32_t place, std::uint32_t events) const;
    void fetch(int milliseconds);
    void deliver(const epoll_event& event);

    boost::asio::io_context& io_;
    TurnBegan own_turn_{0};
    TurnBegan* const turn_;
    const int set_;
    AsioReactor reactor_{nullptr, -1};
    std::optional<boost::asio::executor_work_guard<Executor>> waiting_;  ///< what waits here is work for `io`
    std::array<epoll_event, kAtOnce> events_{};
    std::size_t next_ = 0;     ///< of the events, to be delivered
    std::size_t fetched_ = 0;  ///< events
    std::vector<Place> places_;
    std::vector<std::uint32_t> vacant_;
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

/// Watches a descriptor that is no connection, and is somebody else's: `ready` is called again and again while it is
/// readable, until this ends or pauses.
class DescriptorWatch {
public:
    enum class How : std::uint32_t {
        each_write = EPOLLIN | EPOLLET,  ///< of an eventfd: called once, and nobody has to read it
        alone = EPOLLIN,                 ///< a descriptor that only this process has
        one_of_many =
            EPOLLIN | EPOLLEXCLUSIVE,  ///< of the processes that watch it, an event wakes one that waits
    };

    /// Throws std::system_error.
    DescriptorWatch(Poller& poller, int descriptor, How how, std::function<void()> ready);
    ~DescriptorWatch() { pause(); }
    DescriptorWatch(const DescriptorWatch&) = delete;
    DescriptorWatch& operator=(const DescriptorWatch&) = delete;

    /// Not watched any more, so that an event wakes another process.
    void pause();
    void resume();
    bool paused() const { return place_ == Poller::kNowhere; }

private:
    Poller& poller_;
    const int descriptor_;
    const How how_;
    const std::function<void()> ready_;
    std::uint32_t place_ = Poller::kNowhere;
};

}  // namespace signalbox::server
