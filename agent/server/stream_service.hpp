// Stream handlers as what a listener serves.
#pragma once

#include <memory>

#include "agent/server/listener.hpp"

namespace signalbox::server {

/// Registers their instruments.
std::shared_ptr<const Protocol> make_stream_protocol(Telemetry& telemetry, StreamHandler handler,
                                                     const ListenerOptions& options);

}  // namespace signalbox::server
