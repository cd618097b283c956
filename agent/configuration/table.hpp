// The table of settings: everything of a group and of a listener that can be chosen.
#pragma once

#include <vector>

#include "agent/configuration/setting.hpp"
#include "signalbox/configuration.hpp"

namespace signalbox::configuration {

const std::vector<Setting<GroupOptions>>& group_settings();
const std::vector<Setting<ConfiguredListener>>& listener_settings();

/// The row of that name; null if there is none.
template <class Options>
const Setting<Options>* find(const std::vector<Setting<Options>>& table, std::string_view name) {
    for (const Setting<Options>& row : table)
        if (row.name == name) return &row;
    return nullptr;
}

}  // namespace signalbox::configuration
