// A load generator for HTTP/1.1, as a library: single-threaded, on the io_context of the caller.
//
//     boost::asio::io_context io;
//     const auto target = load::Target::parse("http://127.0.0.1:8080/hello");
//     load::Generator generator(io, {.target = target, .rate = 500, .duration = std::chrono::seconds(10)},
//                               load::Scenario::single(load::prepare(target, "GET", target.path, "", true)));
//     generator.start();
//     io.run();
//     std::cout << generator.report().to_text();
//
// Open loop (a rate): request n is due at n / rate seconds, whether or not the server keeps up, and its
// latency counts from then, not from when a connection was free for it; so a server that stalls for a second
// shows a second, in many requests (no coordinated omission). Closed loop (rate 0): every connection sends
// again as soon as it has its response.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "agent/examples/load/connection.hpp"
#include "agent/examples/load/report.hpp"
#include "agent/examples/load/scenario.hpp"

namespace signalbox::load {

struct Options {
    Target target;
    double rate = 0;            ///< requests per second, of all connections together; 0: as fast as possible
    unsigned connections = 16;  ///< at most this many requests are under way
    std::chrono::nanoseconds duration{std::chrono::seconds(10)};
    std::chrono::nanoseconds timeout{std::chrono::seconds(10)};  ///< for a response, counted from sending
    bool new_connections = false;                                ///< one for every request
};

class Generator {
public:
    Generator(boost::asio::io_context& io, Options options, Scenario scenario,
              std::function<void()> done = {});

    /// Blocks on name resolution. Throws std::runtime_error that names the host.
    void start();
    /// Sends nothing more; is done when what is under way has ended.
    void stop();
    /// Is done at once; what is under way is counted nowhere.
    void abort();

    const Report& report() const { return report_; }

private:
    void pump();
    Clock::time_point due(std::uint64_t request) const;
    void send(Clock::time_point intended, Clock::time_point now);
    void finished(Connection& connection, const Outcome& outcome);
    void record(const Outcome& outcome);
    void watch();
    void end_if_over();

    Options options_;
    Scenario scenario_;
    std::function<void()> done_;
    boost::asio::io_context& io_;
    boost::asio::steady_timer next_send_;
    boost::asio::steady_timer watch_;

    std::vector<std::shared_ptr<Connection>> connections_;
    std::deque<Connection*> idle_;  ///< the one that has rested longest first, so that all take their turns
    std::deque<Connection*> resting_;  ///< after a failure, in a closed loop, so as not to turn at full speed
    Clock::time_point begin_;
    Clock::time_point end_;
    std::uint64_t sent_ = 0;
    bool stopping_ = false;
    bool over_ = false;
    Report report_;
};

}  // namespace signalbox::load
