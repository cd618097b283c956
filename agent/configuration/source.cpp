#include "agent/configuration/source.hpp"

#include <exception>

namespace signalbox::configuration {

Source::Source(Code code, std::string path, Layer command_line)
    : code_(std::move(code)),
      path_(std::move(path)),
      command_line_(std::move(command_line)),
      first_(read()) {}

Composed Source::read() const {
    Rows rows;
    for (const auto& row : group_settings())
        rows.push_back(&row);
    for (const OwnSetting& own : code_.own)
        rows.push_back(&own.row);
    std::vector<std::string> errors;
    Layer file;
    try {
        if (!path_.empty()) file = read_layer(read_file(path_), path_, rows, errors);
    } catch (const std::exception& error) {
        errors.emplace_back(error.what());
    }
    Composed composed = compose(code_, {file, command_line_});
    composed.errors.insert(composed.errors.begin(), errors.begin(), errors.end());
    return composed;
}

}  // namespace signalbox::configuration
