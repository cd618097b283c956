// HTTP/1.x as what a listener serves.
#pragma once

#include <memory>
#include <optional>

#include "agent/server/listener.hpp"

namespace signalbox::server {

/// What all connections of an HTTP listener share.
struct HttpSite {
    Router router;
    HttpLimits limits;
    std::optional<CompressionOptions> compression;
};

std::shared_ptr<const Protocol> make_http(Router router, const ListenerOptions& options);

}  // namespace signalbox::server
