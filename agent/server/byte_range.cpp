#include "agent/server/byte_range.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "agent/server/field_list.hpp"

namespace signalbox::server {

namespace {

/// Digits only. A number that is too large for 64 bits is as good as the largest.
std::optional<std::uint64_t> parse_position(std::string_view digits) {
    if (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos) return std::nullopt;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() ? value : UINT64_MAX;
}

ByteRange part(std::uint64_t first, std::uint64_t length) {
    return {.kind = ByteRange::Kind::part, .first = first, .length = length};
}

}  // namespace

ByteRange parse_range(std::string_view field, std::uint64_t size) {
    constexpr ByteRange kWhole;
    constexpr ByteRange kUnsatisfiable{.kind = ByteRange::Kind::unsatisfiable};
    const std::size_t equals = field.find('=');
    if (equals == field.npos || !same_word(field.substr(0, equals), "bytes")) return kWhole;
    const std::string_view range = without_blanks(field.substr(equals + 1));
    const std::size_t dash = range.find('-');
    if (dash == range.npos) return kWhole;

    const std::string_view from = range.substr(0, dash);
    const std::string_view to = range.substr(dash + 1);
    if (from.empty()) {
        const auto last_bytes = parse_position(to);
        if (!last_bytes) return kWhole;
        if (*last_bytes == 0) return kUnsatisfiable;
        if (size == 0) return kWhole;
        const std::uint64_t length = std::min(*last_bytes, size);
        return part(size - length, length);
    }
    const auto first = parse_position(from);
    const auto last = to.empty() ? std::optional(UINT64_MAX) : parse_position(to);
    if (!first || !last || *last < *first) return kWhole;
    if (*first >= size) return kUnsatisfiable;
    return part(*first, std::min(*last, size - 1) - *first + 1);
}

}  // namespace signalbox::server
