// A session that waits for each answer: a command-line program does one thing after the other.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/client/session.hpp"

namespace signalbox::ctl {

/// The command cannot be done; what() is a sentence for the person who gave it.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Connection : client::Observer {
public:
    /// Connects when it is first needed.
    explicit Connection(client::Options options);

    /// What the agent said of itself. Throws Failure, like the functions below, when the agent cannot be
    /// reached.
    const client::Hello& hello();
    /// Throws Failure with the agent's error.
    nlohmann::json call(const std::string& method, nlohmann::json params = nlohmann::json::object());

    using EventHandler = std::function<void(const wire::Event&)>;
    /// From now on `handler` gets every event once, the last ones before now first if `history`; also after a
    /// reconnection.
    void follow_events(EventHandler handler, bool history);
    /// Lets events come in for this long.
    void run_for(std::chrono::milliseconds length);
    /// Until the session is closed for good.
    void run();

private:
    void on_state(client::State state, const std::string& detail) override;
    void on_hello(const client::Hello& hello) override;
    void on_events(wire::Events&& events) override;

    template <typename Condition>
    void run_until(Condition condition);

    boost::asio::io_context io_;
    bool started_ = false;
    std::optional<std::string> lost_;  ///< why, once the session is closed
    std::optional<client::Hello> hello_;
    EventHandler event_handler_;
    std::uint64_t newest_event_ = 0;
    client::Session session_;  ///< last: it refers to all of the above
};

}  // namespace signalbox::ctl
