#include "common/text/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "common/wire/utf8.hpp"

namespace signalbox::text {
namespace {

std::uint32_t code_point(std::string_view sequence) {
    if (sequence.size() == 1) return static_cast<unsigned char>(sequence[0]);
    auto value =
        static_cast<std::uint32_t>(static_cast<unsigned char>(sequence[0]) & (0x7f >> sequence.size()));
    for (const char next : sequence.substr(1))
        value = value << 6 | (static_cast<unsigned char>(next) & 0x3f);
    return value;
}

/// Characters that move the cursor, change colours or reorder what was written before them.
bool is_harmful(std::uint32_t character) {
    const bool control = character < 0x20 || (character >= 0x7f && character < 0xa0);
    const bool line = character == 0x2028 || character == 0x2029;
    const bool direction = character == 0x61c || character == 0x200e || character == 0x200f ||
                           (character >= 0x202a && character <= 0x202e) ||
                           (character >= 0x2066 && character <= 0x2069);
    return control || line || direction;
}

std::string escape_of(std::uint32_t character) {
    switch (character) {
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return "\\t";
        default:
            return character < 0x100 ? fmt::format("\\x{:02x}", character)
                                     : fmt::format("\\u{:04x}", character);
    }
}

/// Characters, taking one cell each.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

/// How many bytes of `text` fit into `columns` cells.
std::size_t fitting(std::string_view text, std::size_t columns) {
    constexpr std::uint32_t kFirstWide = 0x1100;
    std::size_t bytes = 0;
    for (std::size_t taken = 0; bytes < text.size();) {
        const std::size_t length = std::max<std::size_t>(wire::utf8_sequence_length(text.substr(bytes)), 1);
        const std::uint32_t character = length == 1 ? 0 : code_point(text.substr(bytes, length));
        taken += character >= kFirstWide ? 2 : 1;
        if (taken > columns) break;
        bytes += length;
    }
    return bytes;
}

/// Three significant digits, as far as they are after the point: 1.5, 12.3, 512.
std::string short_number(double value) {
    std::string text = value < 99.95 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
    if (text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
}

}  // namespace

std::string escaped(std::string_view text) {
    std::string safe;
    while (!text.empty()) {
        const std::size_t length = wire::utf8_sequence_length(text);
        const std::string_view sequence = text.substr(0, std::max<std::size_t>(length, 1));
        text.remove_prefix(sequence.size());
        if (length == 0) {
            safe += escape_of(static_cast<unsigned char>(sequence[0]));
        } else if (const std::uint32_t character = code_point(sequence); is_harmful(character)) {
            safe += escape_of(character);
        } else {
            safe += sequence;
        }
    }
    return safe;
}

std::string fitted(std::string_view text, std::size_t columns) {
    if (fitting(text, columns) == text.size()) return std::string(text);
    return std::string(text.substr(0, fitting(text, columns - 1))) + "…";
}

std::string folded(std::string_view text, std::size_t columns, std::size_t indent) {
    std::string lines;
    for (std::size_t margin = 0;; margin = indent) {
        lines.append(margin, ' ');
        std::size_t end = fitting(text, columns - margin);
        if (end == text.size()) return lines.append(text) + '\n';
        // A space in the second half of the line is a fair place; a long word is better cut than left alone.
        const std::size_t space = text.rfind(' ', end);
        if (space != std::string_view::npos && space > end / 2) end = space;
        lines.append(text.substr(0, end)) += '\n';
        text.remove_prefix(end);
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    }
}

std::string bytes_in_words(double bytes) {
    constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    std::size_t unit = 0;
    for (; bytes >= 1023.5 && unit + 1 < kUnits.size(); ++unit)
        bytes /= 1024;
    return short_number(bytes) + ' ' + kUnits[unit];
}

std::string duration_in_words(std::chrono::nanoseconds length) {
    using namespace std::chrono;
    const double seconds = duration<double>(length).count();
    if (seconds < 0) return '-' + duration_in_words(-length);
    if (seconds < 0.9995e-3) return short_number(seconds * 1e6) + " µs";
    if (seconds < 0.9995) return short_number(seconds * 1e3) + " ms";
    if (seconds < 59.95) return short_number(seconds) + " s";
    const auto whole = static_cast<std::int64_t>(seconds + 0.5);
    const auto two = [whole](std::int64_t large, const char* large_unit, std::int64_t small,
                             const char* small_unit) {
        std::string text = fmt::format("{} {}", whole / large, large_unit);
        if (const std::int64_t rest = whole % large / small; rest > 0)
            text += fmt::format(" {} {}", rest, small_unit);
        return text;
    };
    if (whole < 3600) return two(60, "min", 1, "s");
    if (whole < 86400) return two(3600, "h", 60, "min");
    return two(86400, "d", 3600, "h");
}

std::string Table::to_string() const {
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        std::size_t widest = width(columns_[i].title);
        for (const auto& row : rows_)
            widest = std::max(widest, width(row.at(i)));
        widths.push_back(widest);
    }
    std::string text;
    const auto add_line = [&](auto cell_at) {
        std::string line;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const std::string& cell = cell_at(i);
            const std::string padding(widths[i] - width(cell), ' ');
            line += columns_[i].align == Align::right ? padding + cell : cell + padding;
            line += "  ";
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    };
    add_line([this](std::size_t i) -> const std::string& { return columns_[i].title; });
    for (const auto& row : rows_)
        add_line([&row](std::size_t i) -> const std::string& { return row[i]; });
    return text;
}

}  // namespace signalbox::text
