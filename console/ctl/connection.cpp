#include "console/ctl/connection.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "common/text/words.hpp"

namespace signalbox::ctl {

Connection::Connection(client::Options options) : session_(io_, std::move(options), *this) {}

template <typename Condition>
void Connection::run_until(Condition condition) {
    if (!started_) session_.start();
    started_ = true;
    while (!condition()) {
        if (lost_) throw Failure(*lost_);
        io_.restart();
        io_.run_one();
    }
}

const client::Hello& Connection::hello() {
    run_until([this] { return hello_.has_value(); });
    return *hello_;
}

nlohmann::json Connection::call(const std::string& method, nlohmann::json params) {
    hello();
    std::optional<client::Reply> answer;
    session_.call(method, std::move(params), [&answer](client::Reply reply) { answer = std::move(reply); });
    run_until([&answer] { return answer.has_value(); });
    if (!*answer) throw Failure(text::escaped(answer->error));
    return *std::move(answer->result);
}

void Connection::follow_events(EventHandler handler, bool history) {
    hello();
    event_handler_ = std::move(handler);
    // The coarsest and cheapest subscription: the events are what is wanted.
    session_.subscribe(client::Subscription{.granularity = client::Subscription::Granularity::group,
                                            .period = std::chrono::milliseconds(250),
                                            .scale = sketch::kCoarsestScale,
                                            .history = std::chrono::seconds(history ? 1 : 0)});
}

void Connection::run_for(std::chrono::milliseconds length) {
    const auto end = std::chrono::steady_clock::now() + length;
    while (std::chrono::steady_clock::now() < end) {
        if (lost_) throw Failure(*lost_);
        io_.restart();
        io_.run_one_until(end);
    }
}

void Connection::run() {
    run_until([] { return false; });
}

void Connection::on_state(client::State state, const std::string& detail) {
    if (state == client::State::closed) lost_ = text::escaped(detail);
    if (state == client::State::waiting) fmt::print(stderr, "signalboxctl: {}\n", text::escaped(detail));
}

void Connection::on_hello(const client::Hello& hello) {
    // Another agent counts its events anew.
    if (hello_ && hello_->agent_pid != hello.agent_pid) newest_event_ = 0;
    hello_ = hello;
}

void Connection::on_events(wire::Events&& events) {
    for (const wire::Event& event : events.events) {
        if (event.sequence <= newest_event_ && newest_event_ != 0) continue;
        newest_event_ = event.sequence;
        if (event_handler_) event_handler_(event);
    }
}

}  // namespace signalbox::ctl
