// Where one coroutine of the event loop waits until another part of it lets it through.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

namespace signalbox::server {

class Gate {
public:
    explicit Gate(const boost::asio::any_io_executor& executor) : timer_(executor) {}

    /// Returns after the next open(), or sooner: whoever waits looks again at what it waits for. An open()
    /// that comes before leaves nothing behind.
    boost::asio::awaitable<void> wait() { return wait_until(std::chrono::steady_clock::time_point::max()); }
    boost::asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point time) {
        if (timer_.expiry() != time) timer_.expires_at(time);  // which wakes whoever waits
        boost::system::error_code ignored;
        co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    }
    void open() { timer_.cancel(); }

private:
    boost::asio::steady_timer timer_;
};

}  // namespace signalbox::server
