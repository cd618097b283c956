#include "common/client/pending_calls.hpp"

#include "common/client/explain.hpp"
#include "common/client/rpc.hpp"

namespace signalbox::client {

using Clock = std::chrono::steady_clock;

std::uint64_t PendingCalls::add(std::string method, Done done) {
    calls_.emplace(++last_id_, Call{std::move(method), std::move(done), Clock::now() + timeout_});
    if (calls_.size() == 1) arm();
    return last_id_;
}

void PendingCalls::answer(std::uint64_t id, Reply reply) {
    const auto call = calls_.extract(id);
    if (call.empty()) return;
    if (calls_.empty()) timer_.cancel();
    call.mapped().done(std::move(reply));
}

void PendingCalls::fail_all(const std::string& why) {
    // One at a time: whoever is answered may call again (that call is not ours), or drop all others.
    const auto self = shared_from_this();
    const std::uint64_t last = last_id_;
    while (!calls_.empty() && calls_.begin()->first <= last) {
        const auto call = calls_.extract(calls_.begin());
        call.mapped().done({.error_code = kTransportError, .error = why});
    }
    if (calls_.empty()) timer_.cancel();
}

void PendingCalls::forget_all() {
    std::map<std::uint64_t, Call> forgotten;
    forgotten.swap(calls_);
    timer_.cancel();
}

void PendingCalls::arm() {
    if (calls_.empty()) return;
    timer_.expires_at(calls_.begin()->second.deadline);
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        if (const auto self = weak.lock(); self && !error) self->expire();
    });
}

void PendingCalls::expire() {
    while (!calls_.empty() && calls_.begin()->second.deadline <= Clock::now()) {
        const auto call = calls_.extract(calls_.begin());
        call.mapped().done(
            {.error_code = kTransportError,
             .error = call.mapped().method + ": the agent has not answered within " + in_words(timeout_)});
    }
    arm();
}

}  // namespace signalbox::client
