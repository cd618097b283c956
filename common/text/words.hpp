// What people read: units, tables, and text from outside that cannot harm a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace signalbox::text {

/// Control characters, bidirectional overrides and bytes that are not UTF-8 become escapes like \n, \x1b or
/// \u202e.
std::string escaped(std::string_view text);

/// `text`, which must be escaped, cut to at most `columns` terminal cells; what was cut shows as "…". East Asian
/// characters take two cells; whatever may take two counts as two.
std::string fitted(std::string_view text, std::size_t columns);

/// `text`, which must be escaped, as lines of at most `columns` cells, broken at spaces where possible; all but the
/// first are indented.
std::string folded(std::string_view text, std::size_t columns, std::size_t indent);

/// "512 B", "1.5 KiB", "96 MiB"
std::string bytes_in_words(double bytes);

/// "250 µs", "12 ms", "1.5 s", "3 min 4 s", "2 h 5 min", "4 d 3 h"
std::string duration_in_words(std::chrono::nanoseconds length);

/// Columns two spaces apart; one that holds only numbers and units is aligned to the right.
class Table {
public:
    enum class Align { left, right };
    struct Column {
        std::string title;
        Align align = Align::left;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    /// As many cells as there are columns.
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    std::string to_string() const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace signalbox::text
