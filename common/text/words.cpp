#include "common/text/words.hpp"

#include <algorithm>

#include "common/wire/utf8.hpp"

namespace signalbox::text {
namespace {

/// Characters, taking one cell each.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

/// How many bytes of `text` fit into `columns` cells.
std::size_t fitting(std::string_view text, std::size_t columns) {
    constexpr unsigned char kFirstWide = 0xe1;  // leads U+1000 and beyond
    std::size_t bytes = 0;
    for (std::size_t taken = 0; bytes < text.size();) {
        taken += static_cast<unsigned char>(text[bytes]) >= kFirstWide ? 2 : 1;
        if (taken > columns) break;
        bytes += std::max<std::size_t>(wire::utf8_sequence_length(text.substr(bytes)), 1);
    }
    return bytes;
}

}  // namespace

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
