// Whether and how a response is compressed, by the rules of signalbox/compression.hpp.
#pragma once

#include <memory>

#include "agent/server/encoder.hpp"

namespace signalbox::server {

/// Called before the header is written. Says in `response` what is done: Content-Encoding, Vary, an ETag that is
/// weak from now on, and for a shorter body the coded one. For a body that is produced, or so long that coding
/// it would hold up the event loop and is therefore produced from now on, what is to code it.
std::unique_ptr<Encoder> compress(Response& response, Coding accepted, const CompressionOptions& options);

}  // namespace signalbox::server
