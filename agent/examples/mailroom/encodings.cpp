#include "agent/examples/mailroom/encodings.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "common/wire/utf8.hpp"

namespace mailroom {

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
bool is_blank(char c) {
    return c == ' ' || c == '\t';
}
bool is_space(char c) {
    return is_blank(c) || c == '\r' || c == '\n';
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char letter = lower(c);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

/// The byte that the two digits after `text[at]` ('=') stand for.
std::optional<char> escaped_byte(std::string_view text, std::size_t at) {
    if (at + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[at + 1]);
    const int low = hex_digit(text[at + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    return static_cast<char>(high * 16 + low);
}

/// The end of a soft line break that starts at `text[at]` ('='): trailing blanks, then a line end or the end
/// of the text.
std::optional<std::size_t> soft_break_end(std::string_view text, std::size_t at) {
    std::size_t next = at + 1;
    while (next < text.size() && is_blank(text[next]))
        ++next;
    if (next == text.size()) return next;
    if (text[next] == '\r' && next + 1 < text.size() && text[next + 1] == '\n') return next + 2;
    if (text[next] == '\n') return next + 1;
    return std::nullopt;
}

void append_utf8(std::string& out, std::uint32_t code) {  // below U+10000, no surrogates
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xc0 | code >> 6);
        out += static_cast<char>(0x80 | (code & 0x3f));
    } else {
        out += static_cast<char>(0xe0 | code >> 12);
        out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (code & 0x3f));
    }
}

// windows-1252 from 0x80; mail that says iso-8859-1 means this one, whose extra characters the other has no
// use for.
constexpr std::array<std::uint16_t, 32> kWindows1252 = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178};

std::string from_windows_1252(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() + bytes.size() / 8);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        append_utf8(out, byte >= 0x80 && byte < 0xa0 ? kWindows1252[byte - 0x80] : byte);
    }
    return out;
}

struct EncodedWord {
    std::string text;  ///< decoded
    std::size_t end;   ///< behind its "?="
};

/// The encoded word that starts at `value[at]` ("=?"). Its parts hold no '?', so a search never passes the
/// next word's start, and trying every "=?" of a value stays linear.
std::optional<EncodedWord> encoded_word_at(std::string_view value, std::size_t at) {
    const std::size_t charset_end = value.find('?', at + 2);
    if (charset_end == std::string_view::npos || charset_end + 2 >= value.size() ||
        value[charset_end + 2] != '?')
        return std::nullopt;
    const std::size_t text_start = charset_end + 3;
    const std::size_t text_end = value.find('?', text_start);
    if (text_end == std::string_view::npos || text_end + 1 >= value.size() || value[text_end + 1] != '=')
        return std::nullopt;
    std::string_view charset = value.substr(at + 2, charset_end - at - 2);
    charset = charset.substr(0, charset.find('*'));  // RFC 2231 appends a language
    std::string text(value.substr(text_start, text_end - text_start));
    const char encoding = lower(value[charset_end + 1]);
    bool damaged = false;
    if (encoding == 'b') {
        text = decode_base64(text, text.size(), damaged);
    } else if (encoding == 'q') {
        std::replace(text.begin(), text.end(), '_', ' ');
        text = decode_quoted_printable(text, text.size(), damaged);
    } else {
        return std::nullopt;
    }
    return EncodedWord{to_utf8_from(text, charset), text_end + 2};
}

bool all_space(std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_space);
}

}  // namespace

std::string decode_base64(std::string_view text, std::size_t max_bytes, bool& damaged) {
    std::string out;
    out.reserve(std::min(text.size() / 4 * 3 + 3, max_bytes));
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : text) {
        if (out.size() >= max_bytes || c == '=') break;
        const int digit = base64_digit(c);
        if (digit < 0) {
            damaged = damaged || !is_space(c);
            continue;
        }
        bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xffffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out += static_cast<char>(bits >> held & 0xff);
        }
    }
    return out;
}

std::string decode_quoted_printable(std::string_view text, std::size_t max_bytes, bool& damaged) {
    std::string out;
    out.reserve(std::min(text.size(), max_bytes));
    for (std::size_t at = 0; at < text.size() && out.size() < max_bytes;) {
        if (text[at] != '=') {
            out += text[at++];
        } else if (const auto byte = escaped_byte(text, at)) {
            out += *byte;
            at += 3;
        } else if (const auto end = soft_break_end(text, at)) {
            at = *end;
        } else {
            damaged = true;
            out += text[at++];
        }
    }
    return out;
}

std::string to_utf8_from(std::string_view bytes, std::string_view charset) {
    if (equal_ignoring_case(charset, "iso-8859-1") || equal_ignoring_case(charset, "windows-1252"))
        return from_windows_1252(bytes);
    return signalbox::wire::to_utf8(bytes);
}

std::string decode_encoded_words(std::string_view value) {
    std::string out;
    std::size_t copied = 0;  // value[0, copied) is in `out`
    bool after_word = false;
    for (std::size_t at = value.find("=?"); at != std::string_view::npos;) {
        const auto word = encoded_word_at(value, at);
        if (!word) {
            at = value.find("=?", at + 1);
            continue;
        }
        const std::string_view between = value.substr(copied, at - copied);
        if (!after_word || !all_space(between)) out += signalbox::wire::to_utf8(between);
        out += word->text;
        copied = word->end;
        after_word = true;
        at = value.find("=?", copied);
    }
    return out + signalbox::wire::to_utf8(value.substr(copied));
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace mailroom
