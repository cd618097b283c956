// Compression of responses, chosen per listener.
//
//     group.http("*:8080", router, {.compression = signalbox::CompressionOptions{}});
//
// A response is compressed when the client accepts a coding that is offered here (RFC 9110, section 12.5.3: the
// one with the highest q, zstd before gzip among equals), its Content-Type is listed, it is long enough, and
// nothing speaks against it: a Content-Encoding or Content-Range of its own, "no-transform", a status other than
// 2xx, or 206. It says "Vary: Accept-Encoding" whenever another client might get another coding. What is streamed
// is compressed piece by piece, and each piece can be decoded when it arrives.
//
// Leave it off where a page repeats what a request says next to a secret: the length then tells about the secret
// (BREACH).
#pragma once

#include <string>
#include <vector>

#include "signalbox/bytes.hpp"

namespace signalbox {

struct CompressionOptions {
    /// Media types, or "text/*". Those left out are mostly compressed already.
    std::vector<std::string> types{"text/*",          "application/json", "application/javascript",
                                   "application/xml", "application/wasm", "image/svg+xml"};
    Bytes min_size{1024};  ///< of a body of known length
    bool gzip = true;
    bool zstd = true;
    int gzip_level = 5;  ///< 1 … 9
    int zstd_level = 3;  ///< 1 … 19
};

}  // namespace signalbox
