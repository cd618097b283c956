#include "common/wire/utf8.hpp"

namespace signalbox::wire {

std::size_t utf8_sequence_length(std::string_view text) noexcept {
    if (text.empty()) return 0;
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;

    std::size_t length = 0;
    if (lead >= 0xc2 && lead <= 0xdf) length = 2;
    if (lead >= 0xe0 && lead <= 0xef) length = 3;
    if (lead >= 0xf0 && lead <= 0xf4) length = 4;
    if (length == 0 || text.size() < length) return 0;

    // The second byte's range keeps out longer forms than needed, surrogates and what lies beyond U+10FFFF.
    const unsigned char lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < lowest || byte(1) > highest) return 0;
    for (std::size_t i = 2; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    return length;
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t length = utf8_sequence_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes) noexcept {
    if (text.size() <= max_bytes) return text;
    while (max_bytes > 0 && (static_cast<unsigned char>(text[max_bytes]) & 0xc0) == 0x80)
        --max_bytes;
    return text.substr(0, max_bytes);
}

std::string to_utf8(std::string_view text, std::size_t max_bytes) {
    constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
    if (text.size() <= max_bytes && is_utf8(text)) return std::string(text);
    std::string clean;
    while (!text.empty()) {
        const std::size_t length = utf8_sequence_length(text);
        const std::string_view character = length > 0 ? text.substr(0, length) : kReplacement;
        if (character.size() > max_bytes - clean.size()) break;
        clean += character;
        text.remove_prefix(length > 0 ? length : 1);
    }
    return clean;
}

}  // namespace signalbox::wire
