// Custom servers: whatever else a worker is to run, told when to start, to drain and to stop.
//
//     class Ticker final : public signalbox::CustomServer {
//     public:
//         explicit Ticker(const signalbox::WorkerPlace& place)
//             : timer_(place.io), ticks_(place.telemetry, "ticks_total", "Ticks") {}
//         signalbox::awaitable<void> start() override {
//             tick();
//             co_return;
//         }
//         signalbox::awaitable<void> drain() override {
//             timer_.cancel();
//             co_return;
//         }
//         void resume() override { tick(); }
//
//     private:
//         void tick() {
//             ticks_.add();
//             timer_.expires_after(std::chrono::seconds(1));
//             timer_.async_wait([this](boost::system::error_code ec) { if (!ec) tick(); });
//         }
//         boost::asio::steady_timer timer_;
//         signalbox::Counter ticks_;
//     };
//     group.custom("ticker", [](const signalbox::WorkerPlace& place) { return std::make_unique<Ticker>(place); });
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "signalbox/telemetry.hpp"

namespace signalbox {

template <class T>
using awaitable = boost::asio::awaitable<T>;

/// Where a custom server lives. `io` and `telemetry` outlive it.
struct WorkerPlace {
    boost::asio::io_context& io;  ///< the worker's event loop, of one thread
    Telemetry& telemetry;         ///< of the worker's own seat
    unsigned slot = 0;
    int socket =
        -1;  ///< bound and listening, shared by all workers, non-blocking; -1: it was given no address
};

/// Lives in one worker: made after the fork, destroyed when the event loop has stopped. Called on the event loop. What
/// one of these does for long holds up the others; what it throws ends the worker while it starts, and is shown as an
/// event later.
class CustomServer {
public:
    virtual ~CustomServer() = default;
    /// The worker is ready, and its listeners accept, when all of its servers have started.
    virtual awaitable<void> start() { co_return; }
    /// Take nothing new, finish what is under way, and return: the worker ends when all are done, at the group's
    /// drain_deadline at the latest.
    virtual awaitable<void> drain() { co_return; }
    /// The drain is taken back: go on as if it had never begun. A drain() still under way is cancelled and ends first.
    virtual void resume() {}
};

/// Throws what makes the worker impossible; the worker ends then, and is tried again with growing pauses.
using MakeCustomServer = std::function<std::unique_ptr<CustomServer>(const WorkerPlace& place)>;

}  // namespace signalbox
