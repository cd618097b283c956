// Where the steps of TLS handshakes are made while the event loop is behind: one thread of the worker.
//
// A step that signs and derives keys takes a tenth of a millisecond with a key of P-256, and several with a long one of
// RSA; a hundred clients that come at once would stop everybody else's answers for as long. So the loop makes such
// steps itself as long as it has the time, which costs nothing, and leaves the others to this thread.
//
//     if (!handshakes.behind(now, open_connections > 1) || !handshakes.take(job, now)) {
//         make_the_step();
//         handshakes.spent(now, telemetry::monotonic_ns());
//     }
//
// The thread is started when it is first needed. The queue is bounded: when it is full, the loop does its share.
#pragma once

#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "agent/server/poller.hpp"

namespace signalbox::server {

class HandshakeThread {
public:
    static constexpr std::size_t kMostWaiting = 64;

    class Job {
    public:
        virtual ~Job() = default;
        /// In the thread. Nobody else touches, in the meantime, what this does.
        virtual void run() noexcept = 0;
        /// In the event loop, afterwards. `waited`: nanoseconds until run() began.
        virtual void back(std::uint64_t now, std::uint64_t waited) = 0;
    };

    /// Both outlive it.
    HandshakeThread(boost::asio::io_context& io, const TurnBegan& turn) : io_(io), turn_(turn) {}
    /// Waits for the job that runs; what has not begun is dropped.
    ~HandshakeThread();
    HandshakeThread(const HandshakeThread&) = delete;
    HandshakeThread& operator=(const HandshakeThread&) = delete;

    // All of these are the event loop's. Times are CLOCK_MONOTONIC nanoseconds.

    /// Whether the loop should not make a step itself now: its steps have lately taken too much of the time of the `others`
    /// that are there, or it is late for another reason.
    bool behind(std::uint64_t now, bool others);
    /// The loop has made a step itself. Times of several steps may overlap: they are not counted twice.
    void spent(std::uint64_t begin, std::uint64_t end);
    /// False: it is not taken, since as many wait as may, or since there is no thread to be had.
    bool take(std::shared_ptr<Job> job, std::uint64_t now);

private:
    struct Waiting {
        std::shared_ptr<Job> job;
        std::uint64_t since;
    };

    bool start();
    void serve();
    void give_back(Waiting done, std::uint64_t waited);

    boost::asio::io_context& io_;
    const TurnBegan& turn_;          ///< the loop's
    std::uint64_t debt_ = 0;         ///< nanoseconds in steps that the loop has not yet made good for
    std::uint64_t reckoned_to_ = 0;  ///< up to when `debt_` is right
    std::thread thread_;

    std::mutex mutex_;  ///< guards what follows
    std::condition_variable work_is_there_;
    std::deque<Waiting> waiting_;
    bool ending_ = false;
};

}  // namespace signalbox::server
