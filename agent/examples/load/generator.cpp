#include "agent/examples/load/generator.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace signalbox::load {

namespace {

/// How exact deadlines are, and how long a connection rests.
constexpr std::chrono::milliseconds kWatchPeriod{20};

}  // namespace

Generator::Generator(boost::asio::io_context& io, Options options, Scenario scenario,
                     std::function<void()> done)
    : options_(std::move(options)),
      scenario_(std::move(scenario)),
      done_(std::move(done)),
      io_(io),
      next_send_(io),
      watch_(io) {}

void Generator::start() {
    const auto endpoint = options_.target.resolve(io_);
    const auto done = [this](Connection& connection, const Outcome& outcome) {
        finished(connection, outcome);
    };
    for (unsigned i = 0; i < options_.connections; ++i) {
        connections_.push_back(std::make_shared<Connection>(io_, endpoint, !options_.new_connections, done));
        idle_.push_back(connections_.back().get());
    }
    begin_ = Clock::now();
    end_ = begin_ + options_.duration;
    watch();
    pump();
}

void Generator::stop() {
    if (stopping_) return;
    stopping_ = true;
    const auto until = std::min(Clock::now(), end_);
    if (options_.rate > 0) {
        const double due_by_now =
            std::ceil(std::chrono::duration<double>(until - begin_).count() * options_.rate);
        report_.unsent = static_cast<std::uint64_t>(std::max(0.0, due_by_now - static_cast<double>(sent_)));
    }
    end_if_over();
}

void Generator::abort() {
    stop();
    over_ = true;
    for (const auto& connection : connections_)
        connection->close();
    next_send_.cancel();
    watch_.cancel();
}

Clock::time_point Generator::due(std::uint64_t request) const {
    const std::chrono::duration<double> offset(static_cast<double>(request) / options_.rate);
    return begin_ + std::chrono::duration_cast<Clock::duration>(offset);
}

/// Sends whatever is due and has a connection; otherwise sees to it that somebody calls again.
void Generator::pump() {
    while (!stopping_ && !idle_.empty()) {
        const auto now = Clock::now();
        if (now >= end_) return stop();
        const auto intended = options_.rate > 0 ? due(sent_) : now;
        if (intended <= now) {
            send(intended, now);
            continue;
        }
        next_send_.expires_at(std::min(intended, end_));
        next_send_.async_wait([this](const boost::system::error_code& error) {
            if (!error) pump();
        });
        return;
    }
}

void Generator::send(Clock::time_point intended, Clock::time_point now) {
    Connection* connection = idle_.front();
    idle_.pop_front();
    ++sent_;
    connection->perform(scenario_.next(), intended, now + options_.timeout);
}

void Generator::finished(Connection& connection, const Outcome& outcome) {
    if (over_) return;
    record(outcome);
    const bool rests = outcome.failure && outcome.status == 0 && options_.rate == 0;
    (rests ? resting_ : idle_).push_back(&connection);
    pump();
    end_if_over();
}

void Generator::record(const Outcome& outcome) {
    const auto now = Clock::now();
    ++report_.requests;
    report_.body_bytes += outcome.body_bytes;
    if (outcome.status != 0) ++report_.statuses[outcome.status];
    if (outcome.failure) {
        ++report_.failures[static_cast<std::size_t>(*outcome.failure)];
        if (*outcome.failure == Failure::other) report_.last_other = outcome.detail;
    } else {
        const double seconds = std::chrono::duration<double>(now - outcome.intended).count();
        ++report_.succeeded;
        report_.latency.record(seconds);
    }
    report_.elapsed = now - begin_;
}

/// Looks after deadlines, resting connections and the end, so that no request needs a timer of its own.
void Generator::watch() {
    watch_.expires_after(kWatchPeriod);
    watch_.async_wait([this](const boost::system::error_code& error) {
        if (error || over_) return;
        const auto now = Clock::now();
        for (const auto& connection : connections_)
            connection->check_deadline(now);
        idle_.insert(idle_.end(), resting_.begin(), resting_.end());
        resting_.clear();
        if (now >= end_) stop();
        pump();
        if (!over_) watch();
    });
}

void Generator::end_if_over() {
    if (!stopping_ || over_ || idle_.size() + resting_.size() < connections_.size()) return;
    over_ = true;
    for (const auto& connection : connections_)
        connection->close();
    next_send_.cancel();
    watch_.cancel();
    if (done_) done_();
}

}  // namespace signalbox::load
