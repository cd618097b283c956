// A file as a producer, for connections through which the kernel cannot send it: encrypted or compressed.
#pragma once

#include "agent/server/response_source.hpp"

namespace signalbox::server {

/// Throws std::runtime_error if the file turns out to be shorter than the part. Both arguments outlive it.
awaitable<void> write_file(ResponseStream& out, const FilePart& part);

}  // namespace signalbox::server
