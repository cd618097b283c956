// The Range field (RFC 9110, section 14).
#pragma once

#include <cstdint>
#include <string_view>

namespace signalbox::server {

struct ByteRange {
    enum class Kind {
        whole,          ///< the field is ignored, which section 14.2 always allows
        part,           ///< `first` and `length` hold
        unsatisfiable,  ///< 416
    };
    Kind kind = Kind::whole;
    std::uint64_t first = 0;
    std::uint64_t length = 0;
};

/// Of "bytes=0-499", "bytes=500-" or "bytes=-500" and a representation of `size` bytes. Anything else is
/// ignored: other units, what is malformed, and more than one range: a client that asks for many small or
/// overlapping ones makes the answer larger than the file, and those that ask for several accept the whole.
ByteRange parse_range(std::string_view field, std::uint64_t size);

}  // namespace signalbox::server
