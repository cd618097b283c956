// An agent that does what a test tells it, on a unix socket or with TLS, on the test's own io_context.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/wire/messages.hpp"

namespace signalbox::client {

class FakeAgent {
public:
    /// How it behaves towards whoever connects from now on.
    struct Manners {
        std::string subprotocol{wire::kSubprotocol};  ///< what it answers with; empty: none
        unsigned decline_with = 0;                    ///< an HTTP status instead of the upgrade
        bool says_hello = true;
        nlohmann::json hello = {{"protocol", 1},      {"group", "mailroom"}, {"host", "localhost"},
                                {"version", "0.1.0"}, {"boot_id", "b1"},     {"arbiter_pid", 10},
                                {"agent_pid", 11},    {"may_act", true}};
    };

    /// Listens on the unix socket `path`.
    FakeAgent(boost::asio::io_context& io, const std::string& path);
    /// Listens with TLS on a free port of 127.0.0.1.
    FakeAgent(boost::asio::io_context& io, boost::asio::ssl::context tls);
    ~FakeAgent();

    std::uint16_t port() const;

    Manners manners;
    std::vector<nlohmann::json> requests;
    int upgrades = 0;
    /// Gives the members of a response: {"result": …} or {"error": …}. Nothing: no response at all.
    std::function<std::optional<nlohmann::json>(const nlohmann::json& request)> answer;

    /// To the newest connection.
    void send_text(const std::string& text);
    void send_binary(const std::string& frame);
    void drop_connections();

    struct State;
    struct Connection;

private:
    std::shared_ptr<State> state_;
};

}  // namespace signalbox::client
