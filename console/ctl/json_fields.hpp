// Members of an agent's answer as text to show: escaped, and "-" when they are missing or of another type.
#pragma once

#include <algorithm>

#include <nlohmann/json.hpp>
#include <string>

#include "common/text/words.hpp"

namespace signalbox::ctl {

inline const nlohmann::json& field(const nlohmann::json& object, const char* name) {
    static const nlohmann::json kNothing;
    if (!object.is_object()) return kNothing;
    const auto member = object.find(name);
    return member == object.end() ? kNothing : *member;
}

inline std::string text_field(const nlohmann::json& object, const char* name) {
    const nlohmann::json& value = field(object, name);
    return value.is_string() ? text::escaped(value.get_ref<const std::string&>()) : "-";
}

inline std::string number_field(const nlohmann::json& object, const char* name) {
    const nlohmann::json& value = field(object, name);
    return value.is_number() ? value.dump() : "-";
}

inline std::string bytes_field(const nlohmann::json& object, const char* name) {
    const nlohmann::json& value = field(object, name);
    return value.is_number() ? text::bytes_in_words(value.get<double>()) : "-";
}

inline std::string seconds_field(const nlohmann::json& object, const char* name) {
    const nlohmann::json& value = field(object, name);
    if (!value.is_number()) return "-";
    // Beyond 68 years it is no duration, and beyond 292 not one of the type.
    const double seconds = std::clamp(value.get<double>(), -2147483648.0, 2147483647.0);
    return text::duration_in_words(std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)));
}

}  // namespace signalbox::ctl
