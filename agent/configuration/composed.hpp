// What holds once code, file and command line are put together, and where each value was chosen.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/configuration/layer.hpp"

namespace signalbox::configuration {

/// A setting of the server's own.
struct OwnSetting {
    Row row;
    Value code{};  ///< what holds unless it is chosen
    std::function<void(const Value&)> write{};
};

/// What the code says.
struct Code {
    GroupOptions group{};
    std::vector<ConfiguredListener> listeners{};
    bool any_listeners = false;
    std::vector<OwnSetting> own{};
};

/// By the name of the setting.
using Chosen = std::map<std::string, Choice, std::less<>>;

struct ComposedListener {
    ConfiguredListener listener{};
    Chosen chosen{};
};

struct Composed {
    GroupOptions group{};
    Chosen chosen{};  ///< in file or command line, also of the server's own settings
    std::vector<ComposedListener> listeners{};
    std::vector<std::string> errors{};  ///< empty: all is well

    const ComposedListener* find(std::string_view listener) const;
};

/// The later of the layers wins. Checks what single values cannot show, too.
Composed compose(const Code& code, const std::vector<Layer>& layers);

/// "/etc/hello.json:12", "command line --workers", "code" or "default".
std::string origin_of(const Composed& composed, const Setting<GroupOptions>& row);
std::string origin_of(const ComposedListener& listener, const Setting<ConfiguredListener>& row,
                      const std::string& in_code);
/// Whether it was chosen in a file.
bool is_from_file(const Chosen& chosen, std::string_view name);

/// How the file writes it, as JSON with comments that name the origins.
std::string in_json(const Code& code, const Composed& composed);

/// Of a server's own variable.
OwnSetting own_setting(const std::string& name, SettingVariable variable, const std::string& help);

}  // namespace signalbox::configuration
