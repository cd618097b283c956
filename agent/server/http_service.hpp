// HTTP/1.x as what a listener serves.
#pragma once

#include <memory>
#include <optional>

#include "agent/server/handled_connection.hpp"
#include "agent/server/listener.hpp"

namespace signalbox::server {

/// What all connections of an HTTP listener share.
struct HttpSite {
    Router router;
    HttpLimits limits;
    std::optional<CompressionOptions> compression;
    std::shared_ptr<HandlerSite> websockets{};  ///< null if there are none
};

/// Registers instruments if there are WebSockets.
std::shared_ptr<const Protocol> make_http(Telemetry& telemetry, Router router,
                                          const ListenerOptions& options);

}  // namespace signalbox::server
