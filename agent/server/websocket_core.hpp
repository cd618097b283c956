// What an HTTP connection becomes when a route leads to a WebSocket.
#pragma once

#include <memory>

#include "agent/server/handled_connection.hpp"
#include "agent/server/upgraded_stream.hpp"
#include "agent/server/websocket_handshake.hpp"

namespace signalbox::server {

/// Answers the request, which refuse_websocket() has not refused, and calls the handler.
void serve_websocket(WorkerContext& context, std::shared_ptr<HandlerSite> site,
                     std::shared_ptr<const WebSocketEndpoint> endpoint, Request request,
                     UpgradedStream stream);

}  // namespace signalbox::server
