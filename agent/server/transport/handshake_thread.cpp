#include "agent/server/transport/handshake_thread.hpp"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <system_error>
#include <utility>

#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/shielded_thread.hpp"

namespace signalbox::server {

namespace {

/// What others may have to wait for steps of the loop: two or three with a key of P-256, one with a long one of RSA.
constexpr std::uint64_t kMostDebt = 300'000;
/// Of the time that passes, one part in so many is for steps of the loop.
constexpr std::uint64_t kShare = 2;
/// A turn of the loop that takes so long keeps others waiting.
constexpr std::uint64_t kLate = 20'000'000;

std::uint64_t since(std::uint64_t then, std::uint64_t now) {
    return now > then ? now - then : 0;
}

}  // namespace

HandshakeThread::~HandshakeThread() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    work_is_there_.notify_one();
    if (thread_.joinable()) thread_.join();
}

bool HandshakeThread::behind(std::uint64_t now, bool others) {
    debt_ -= std::min(debt_, since(reckoned_to_, now) / kShare);
    reckoned_to_ = std::max(reckoned_to_, now);
    const std::uint64_t turn_began = turn_.load(std::memory_order_relaxed);
    return (others && debt_ >= kMostDebt) || (turn_began != 0 && since(turn_began, now) > kLate);
}

void HandshakeThread::spent(std::uint64_t begin, std::uint64_t end) {
    debt_ += since(std::max(begin, reckoned_to_), end);
    reckoned_to_ = std::max(reckoned_to_, end);
}

bool HandshakeThread::take(std::shared_ptr<Job> job, std::uint64_t now) {
    if (!thread_.joinable() && !start()) return false;
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= kMostWaiting) return false;
        waiting_.push_back({std::move(job), now});
    }
    work_is_there_.notify_one();
    return true;
}

bool HandshakeThread::start() {
    try {
        thread_ = telemetry::start_shielded([this] { serve(); });
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

void HandshakeThread::serve() {
    ::pthread_setname_np(::pthread_self(), "tls-handshakes");
    std::unique_lock lock(mutex_);
    for (;;) {
        work_is_there_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
        if (ending_) return;
        Waiting next = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        const std::uint64_t waited = since(next.since, telemetry::monotonic_ns());
        next.job->run();
        give_back(std::move(next), waited);
        lock.lock();
    }
}

/// Job and all, so that it ends in the loop's thread in any case.
void HandshakeThread::give_back(Waiting done, std::uint64_t waited) {
    boost::asio::post(io_,
                      [job = std::move(done.job), waited] { job->back(telemetry::monotonic_ns(), waited); });
}

}  // namespace signalbox::server
