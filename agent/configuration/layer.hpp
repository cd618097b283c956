// What the file says, or the command line: choices that are read, but not yet put together.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/configuration/json_document.hpp"
#include "agent/configuration/table.hpp"

namespace signalbox::configuration {

/// A value that was chosen for a setting.
struct Choice {
    std::string name{};  ///< of the row
    Value value{};
    std::string origin{};  ///< for the Context: "/etc/hello.json:12", "command line --workers"
    std::string place{};   ///< for messages: "/etc/hello.json:12:5", "command line"
};

struct ListenerChoices {
    std::string name{};     ///< "": by index
    std::size_t index = 0;  ///< in the file's list
    std::string place{};
    bool lists = true;  ///< it is one of those that there are; false: something about one of them
    std::vector<Choice> choices{};
};

struct Layer {
    std::vector<Choice> choices{};           ///< of the group and of the server's own settings
    std::vector<Choice> of_all_listeners{};  ///< before those of a single one
    std::vector<ListenerChoices> listeners{};
    bool lists_listeners = false;  ///< the file names its listeners, or --listen does
};

/// Rows by name, of the group and the server's own together.
using Rows = std::vector<const Row*>;

/// Throws std::runtime_error that names the file and what keeps it from being read: not there, no file, too large.
std::string read_file(const std::string& path);

/// Everything that is wrong is appended to `errors`: "/etc/hello.json:12:5: workers: …".
Layer read_layer(std::string_view text, const std::string& path, const Rows& rows,
                 std::vector<std::string>& errors);

/// A name for a listener: a to z, digits and _, beginning with a letter.
bool is_listener_name(std::string_view name);

}  // namespace signalbox::configuration
