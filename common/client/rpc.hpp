// The JSON of a session: what is sent, and what is made of the agent's answers. No I/O.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/client/session.hpp"

namespace signalbox::client {

/// Codes of our own, in the range that JSON-RPC leaves to implementations: the transport failed, not the
/// agent.
inline constexpr int kTransportError = -32000;

std::string request_text(std::uint64_t id, const std::string& method, nlohmann::json params);

/// `since`: the end of the newest tick that we have.
nlohmann::json subscribe_params(const Subscription& subscription, std::optional<wire::WallTime> since);

/// A text frame from the agent; throws ConnectionProblem when it is not JSON-RPC.
nlohmann::json parse_text(std::string_view text);

/// Throws ConnectionProblem when something is missing, mistyped or of another protocol version.
Hello parse_hello(const nlohmann::json& params);

/// The result or the error of a response. A response without either becomes an error.
Reply parse_reply(const nlohmann::json& response);

}  // namespace signalbox::client
