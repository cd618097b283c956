// What people read: tables, and with them the words of common/wire/readable.hpp.
#pragma once

#include <string>
#include <vector>

#include "common/wire/readable.hpp"

namespace signalbox::ctl {

using wire::bytes_in_words;
using wire::duration_in_words;
using wire::escaped;

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

}  // namespace signalbox::ctl
