// Whether a request may become a WebSocket (RFC 6455, section 4.2).
#pragma once

#include <optional>
#include <string>

#include "signalbox/http.hpp"

namespace signalbox {

/// What a route leads to.
struct WebSocketEndpoint {
    WebSocketHandler handler;
    WebSocketOptions options;
};

}  // namespace signalbox

namespace signalbox::server {

/// What it is answered with if not: 426 for one that asks for none, or for another version than 13, 400 for a key that is
/// none, 403 for a page of a foreign origin.
std::optional<Response> refuse_websocket(const Request& request, const WebSocketOptions& options);

/// The first of ours that the client offers; empty: none.
std::string choose_subprotocol(const Request& request, const WebSocketOptions& options);

}  // namespace signalbox::server
