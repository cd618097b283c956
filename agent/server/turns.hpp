// What one coroutine may do before the others of its event loop have their turn: a peer that reads or writes as fast as
// it is served must not have the loop to itself.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>

namespace signalbox::server {

class Turns {
public:
    Turns(const boost::asio::any_io_executor& executor, std::size_t bytes)
        : executor_(executor), most_(bytes) {}

    /// True when it is the others' turn: pass() is to be awaited.
    bool over_after(std::size_t bytes) {
        since_ += bytes;
        return since_ >= most_;
    }
    boost::asio::awaitable<void> pass() {
        since_ = 0;
        co_await boost::asio::post(executor_, boost::asio::use_awaitable);
    }

private:
    const boost::asio::any_io_executor executor_;
    const std::size_t most_;
    std::size_t since_ = 0;
};

}  // namespace signalbox::server
