// Requests that wait for their answers: each is answered exactly once.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/client/session.hpp"

namespace signalbox::client {

/// Held by a shared_ptr, because the timer's callback may come after its owner is gone.
class PendingCalls : public std::enable_shared_from_this<PendingCalls> {
public:
    using Done = std::function<void(Reply)>;

    /// Calls not answered within `timeout` are answered with an error.
    PendingCalls(boost::asio::io_context& io, std::chrono::milliseconds timeout)
        : timer_(io), timeout_(timeout) {}

    /// Ids are never used twice, so that a late answer meets nobody.
    std::uint64_t add(std::string method, Done done);
    /// Does nothing when `id` is not waited for (any more).
    void answer(std::uint64_t id, Reply reply);
    void fail_all(const std::string& why);
    void forget_all();

private:
    struct Call {
        std::string method;
        Done done;
        std::chrono::steady_clock::time_point deadline;
    };

    void arm();
    void expire();

    boost::asio::steady_timer timer_;
    std::chrono::milliseconds timeout_;
    std::uint64_t last_id_ = 0;
    std::map<std::uint64_t, Call> calls_;  ///< all wait equally long, so the first one is the next to expire
};

}  // namespace signalbox::client
