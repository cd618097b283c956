// The times of fields (RFC 9110, section 5.6.7).
#pragma once

#include <ctime>
#include <optional>
#include <string_view>

namespace signalbox::server {

/// Any of the three forms that a recipient has to understand: "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday,
/// 06-Nov-94 08:49:37 GMT" (a year more than 50 ahead is of the century before), "Sun Nov  6 08:49:37 1994".
/// Nothing for other text; the name of the day is not compared with the date.
std::optional<std::time_t> parse_http_date(std::string_view text);

}  // namespace signalbox::server
