// Text from outside (request lines, peer names, headers) may be any bytes; what crosses the wire is UTF-8.
// These keep a strange request from making a whole frame, or a JSON document, unreadable.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace signalbox::wire {

/// The length of the well-formed UTF-8 sequence (RFC 3629: shortest form, no surrogates, at most U+10FFFF)
/// that `text` starts with; 0 if it starts with none.
std::size_t utf8_sequence_length(std::string_view text) noexcept;

bool is_utf8(std::string_view text) noexcept;

/// The beginning of `text`, at most `max_bytes` of it, that does not end inside a character. What is not UTF-8 is
/// left as it is.
std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) noexcept;

/// `text` with every byte that is not part of a well-formed sequence replaced by U+FFFD, and cut between two
/// characters so that at most `max_bytes` remain.
std::string to_utf8(std::string_view text, std::size_t max_bytes = std::string_view::npos);

}  // namespace signalbox::wire
