// The encodings inside a message, undone: quoted-printable and base64 (RFC 2045), encoded words (RFC 2047),
// character sets.
//
// All of them take any bytes. What is malformed is kept or skipped as mail readers do, and `damaged` (where
// there is one) is set; nothing is ever set back to false. Time is linear, and no output is longer than three
// times its input.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mailroom {

/// At most `max_bytes` of the decoded bytes. White space is skipped; other strangers are skipped and are
/// damage.
std::string decode_base64(std::string_view text, std::size_t max_bytes, bool& damaged);

/// At most `max_bytes` of the decoded bytes. A malformed escape stays as it is and is damage.
std::string decode_quoted_printable(std::string_view text, std::size_t max_bytes, bool& damaged);

/// UTF-8 of `bytes` in `charset` (us-ascii, utf-8, iso-8859-1, windows-1252; any case). Of other sets, the
/// bytes that are UTF-8 by themselves remain and the rest becomes U+FFFD.
std::string to_utf8_from(std::string_view bytes, std::string_view charset);

/// A header field's value with its encoded words ("=?utf-8?Q?caf=C3=A9?=") decoded, in UTF-8. What only looks
/// like one stays.
std::string decode_encoded_words(std::string_view value);

/// ASCII only, whatever the locale.
std::string lower_case(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace mailroom
