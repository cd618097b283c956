// The characters of tokens: methods, field names, extension names (RFC 9110, section 5.6.2).
#pragma once

#include <algorithm>
#include <string_view>

namespace signalbox::server {

constexpr bool is_token_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

constexpr bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

/// Whether a field's value can carry `c`: anything but control characters, save the tab.
constexpr bool is_value_character(char c) {
    return static_cast<unsigned char>(c) >= ' ' ? c != '\x7f' : c == '\t';
}

constexpr bool is_value(std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_value_character);
}

}  // namespace signalbox::server
