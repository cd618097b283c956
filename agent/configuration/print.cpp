// What holds, as a file that would say the same.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/configuration/composed.hpp"

namespace signalbox::configuration {
namespace {

using nlohmann::json;

json to_json(const Row& row, const Value& value) {
    using signalbox::detail::SettingType;
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* list = std::get_if<std::vector<std::string>>(&value)) return *list;
    if (row.type == SettingType::boolean) return std::get<std::uint64_t>(value) != 0;
    if (row.type == SettingType::integer) return static_cast<std::int64_t>(std::get<std::uint64_t>(value));
    return format(row, value);
}

struct Line {
    std::string name;  ///< "tls.certificate"
    json value;
    std::string origin;
};

/// Lines whose names share what is before the dot go into one object. The last line of each has no comma.
void print(const std::vector<Line>& lines, std::size_t depth, bool last, std::string& text) {
    const std::string indent(4 * depth, ' ');
    for (std::size_t i = 0; i < lines.size();) {
        const std::size_t dot = lines[i].name.find('.');
        std::size_t end = i + 1;
        if (dot == std::string::npos) {
            const std::string said =
                fmt::format("{}{}: {}{}", indent, json(lines[i].name).dump(),
                            lines[i].value.dump(-1, ' ', false, json::error_handler_t::replace),
                            last && end == lines.size() ? "" : ",");
            text += fmt::format("{:<56} // {}\n", said, lines[i].origin);
        } else {
            const std::string prefix = lines[i].name.substr(0, dot + 1);
            std::vector<Line> inner;
            for (end = i; end < lines.size() && lines[end].name.starts_with(prefix); ++end)
                inner.push_back({lines[end].name.substr(dot + 1), lines[end].value, lines[end].origin});
            text += fmt::format("{}{}: {{\n", indent, json(prefix.substr(0, dot)).dump());
            print(inner, depth + 1, true, text);
            text += fmt::format("{}}}{}\n", indent, last && end == lines.size() ? "" : ",");
        }
        i = end;
    }
}

/// A structure that is there shows in its members; one that is not, as null.
std::vector<Line> lines_of(const ComposedListener& listener, const std::string& in_code) {
    std::vector<Line> lines;
    for (const auto& row : listener_settings()) {
        const auto value = row.get(listener.listener);
        if (!value || (row.kind == Kind::section && std::get<std::uint64_t>(*value) != 0)) continue;
        lines.push_back({row.name, row.kind == Kind::section ? json() : to_json(row, *value),
                         origin_of(listener, row, in_code)});
    }
    return lines;
}

}  // namespace

std::string in_json(const Code& code, const Composed& composed) {
    std::vector<Line> lines;
    for (const auto& row : group_settings())
        lines.push_back({row.name, to_json(row, *row.get(composed.group)), origin_of(composed, row)});
    for (const OwnSetting& own : code.own) {
        const auto found = composed.chosen.find(own.row.name);
        const bool chosen = found != composed.chosen.end();
        lines.push_back({own.row.name, to_json(own.row, chosen ? found->second.value : own.code),
                         chosen ? found->second.origin : "code"});
    }
    std::string text = "{\n";
    print(lines, 1, false, text);
    text += "    \"listeners\": {\n";
    for (const ComposedListener& listener : composed.listeners) {
        text += fmt::format("        {}: {{\n", json(listener.listener.name).dump());
        print(lines_of(listener, composed.group.origin), 3, true, text);
        text += &listener == &composed.listeners.back() ? "        }\n" : "        },\n";
    }
    return text + "    }\n}\n";
}

}  // namespace signalbox::configuration
