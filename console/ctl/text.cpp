#include "console/ctl/text.hpp"

#include <algorithm>

namespace signalbox::ctl {
namespace {

/// Characters, taking one cell each.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

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

}  // namespace signalbox::ctl
