// The binary form of telemetry messages: one WebSocket binary frame each. PROTOCOL.md describes the bytes.
//
//     std::string frame = encode(tick);
//     Decoded decoded = decode(frame);  // any bytes: a message or why not, in memory that the frame bounds
//     if (decoded) std::visit(handler, *decoded.message);
//     else log(decoded.error);
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/wire/messages.hpp"

namespace signalbox::wire {

/// Limits of the format. Whoever would exceed the first two sends at a coarser scale or in several frames;
/// encode() cuts texts to the last two, at a character.
inline constexpr std::size_t kMaxFrameBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxFrameBuckets = 16'777'216;  ///< of all histograms, each from first to last
inline constexpr std::size_t kMaxNameBytes = 255;            ///< names and units
inline constexpr std::size_t kMaxTextBytes = 16384;          ///< help, label values, activities, sentences

/// Canonical: equal messages give equal bytes. Histograms keep their scale, count, sum and buckets; exact
/// extremes do not travel. Bytes that are not UTF-8 become U+FFFD, so text from outside needs no care here.
std::string encode(const Message& message);
/// The same, without a copy of it in a Message.
std::string encode(const Tick& tick);

struct Decoded {
    std::optional<Message> message;
    std::string error;  ///< what is wrong and at which offset, when there is no message
    explicit operator bool() const { return message.has_value(); }
};

/// Refuses unknown types, trailing bytes, counts beyond the frame's own length, bad enumerators and
/// non-canonical varints.
Decoded decode(std::string_view frame);

}  // namespace signalbox::wire
