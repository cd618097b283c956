// Compressors behind one face: bytes in, coded bytes out.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "agent/server/accept_encoding.hpp"

namespace signalbox::server {

class Encoder {
public:
    virtual ~Encoder() = default;
    /// Appends to `out` all that is needed to decode `bytes` and what came before.
    virtual void write(std::string_view bytes, std::string& out) = 0;
    /// `bytes` are the last; no call follows.
    virtual void finish(std::string_view bytes, std::string& out) = 0;
};

/// Not for identity. Takes 256 KiB for gzip, and about 1 MiB for zstd, whose window is kept to 128 KiB. Throws
/// std::bad_alloc.
std::unique_ptr<Encoder> make_encoder(Coding coding, const CompressionOptions& options);

}  // namespace signalbox::server
