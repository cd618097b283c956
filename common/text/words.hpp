// What people read: tables, and with them the words of common/wire/readable.hpp.
#pragma once

#include <string>
#include <vector>

#include "common/wire/readable.hpp"

namespace signalbox::text {

using wire::bytes_in_words;
using wire::duration_in_words;
using wire::escaped;

/// `text`, which must be escaped, cut to at most `columns` terminal cells; what was cut shows as "…". East Asian
/// characters take two cells; whatever may take two counts as two.
std::string fitted(std::string_view text, std::size_t columns);

/// `text`, which must be escaped, as lines of at most `columns` cells, broken at spaces where possible; all but the
/// first are indented.
std::string folded(std::string_view text, std::size_t columns, std::size_t indent);

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
