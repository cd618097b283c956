// The characters of tokens: methods, field names, extension names (RFC 9110, section 5.6.2).
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace signalbox::server {

/// By character. Every byte of every header is looked up here.
inline constexpr std::array<bool, 256> kTokenCharacters = [] {
    std::array<bool, 256> is_one{};
    constexpr std::string_view kAll =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (const char c : kAll)
        is_one[static_cast<unsigned char>(c)] = true;
    return is_one;
}();

constexpr bool is_token_character(char c) {
    return kTokenCharacters[static_cast<unsigned char>(c)];
}

constexpr bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return is_token_character(c); });
}

/// Whether a field's value can carry `c`: anything but control characters, save the tab.
constexpr bool is_value_character(char c) {
    return static_cast<unsigned char>(c) >= ' ' ? c != '\x7f' : c == '\t';
}

constexpr bool is_value(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return is_value_character(c); });
}

}  // namespace signalbox::server
