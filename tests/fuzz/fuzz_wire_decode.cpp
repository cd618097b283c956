// Any bytes: decode() gives a message or an error, and what it accepts has no other encoding.
#include <cstdlib>

#include "common/wire/codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view frame(reinterpret_cast<const char*>(data), size);
    const signalbox::wire::Decoded decoded = signalbox::wire::decode(frame);
    if (decoded.message.has_value() != decoded.error.empty()) std::abort();
    if (decoded && signalbox::wire::encode(*decoded.message) != frame) std::abort();
    return 0;
}
