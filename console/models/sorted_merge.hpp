// Turns the rows of a model into new rows with the fewest insertions and removals. Both are sorted by the
// same key.
#pragma once

#include <vector>

namespace signalbox::console {

/// `insert(row, value)`, `remove(row)` and `update(row, value)` are told in an order in which `row` is always
/// the place in the model as it then is.
template <typename Row, typename Value, typename KeyOfRow, typename KeyOfValue, typename Insert,
          typename Remove, typename Update>
void mergeSorted(const std::vector<Row>& rows, const std::vector<Value>& values, KeyOfRow keyOfRow,
                 KeyOfValue keyOfValue, Insert insert, Remove remove, Update update) {
    std::size_t at = 0;
    for (const auto& value : values) {
        while (at < rows.size() && keyOfRow(rows[at]) < keyOfValue(value))
            remove(static_cast<int>(at));
        if (at < rows.size() && keyOfRow(rows[at]) == keyOfValue(value))
            update(static_cast<int>(at), value);
        else
            insert(static_cast<int>(at), value);
        ++at;
    }
    while (at < rows.size())
        remove(static_cast<int>(at));
}

}  // namespace signalbox::console
