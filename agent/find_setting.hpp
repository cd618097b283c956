#pragma once

#include <optional>
#include <string_view>

#include "agent/telemetry/settings.hpp"

namespace signalbox {

/// The setting of that name as the segment has it; none if nobody has registered it.
inline std::optional<telemetry::Setting> find_setting(telemetry::Segment& segment, std::string_view name) {
    for (std::uint32_t i = 0; i < segment.geometry().settings_capacity; ++i)
        if (auto setting = telemetry::read_setting(segment.setting(i), i); setting && setting->name == name)
            return setting;
    return std::nullopt;
}

}  // namespace signalbox
