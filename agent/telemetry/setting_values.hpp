// The values of tunables between words and text: "250ms", "512MiB", "true".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "signalbox/detail/tunable.hpp"

namespace signalbox::telemetry {

/// The word for `text`: true, false, on or off; a whole number; a number; a duration ("250ms", "1.5s"; ns, us,
/// ms, s, min or m, h and d are known); a size ("512MiB"). Throws std::invalid_argument: "'5 parsecs' is not a
/// duration; try '250ms' or '1.5s'".
std::uint64_t parse_value(detail::SettingType type, std::string_view text);

/// As people write it, exactly: parse_value() gives the same word again.
std::string format_value(detail::SettingType type, std::uint64_t word);

/// The word is one of the type: a bool 0 or 1, a double finite.
bool is_value(detail::SettingType type, std::uint64_t word);

/// Of two words that are values of the type.
bool is_less(detail::SettingType type, std::uint64_t a, std::uint64_t b);

std::string_view type_name(detail::SettingType type);

}  // namespace signalbox::telemetry
