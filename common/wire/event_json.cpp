#include "common/wire/event_json.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "common/wire/readable.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::wire {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> kKindNames = {"event", "begin", "success", "failure", "exception"};

bool has_ended(EventKind kind) {
    return kind >= EventKind::success;
}

ordered_json fields_json(const Event& event) {
    ordered_json fields = ordered_json::object();
    for (const Field& field : event.fields) {
        ordered_json& value = fields[to_utf8(field.name)];
        if (const auto* text = std::get_if<std::string>(&field.value))
            value = to_utf8(*text);
        else if (const auto* integer = std::get_if<std::int64_t>(&field.value))
            value = *integer;
        else if (const auto* real = std::get_if<double>(&field.value))
            value = *real;
        else
            value = std::get<bool>(field.value);
    }
    return fields;
}

const json& member(const json& object, const char* name) {
    static const json kNothing;
    if (!object.is_object()) return kNothing;
    const auto found = object.find(name);
    return found == object.end() ? kNothing : *found;
}

std::string text(const json& object, const char* name) {
    const json& value = member(object, name);
    return value.is_string() ? value.get<std::string>() : std::string();
}

template <typename Unsigned>
void read_number(const json& object, const char* name, Unsigned& into) {
    const json& value = member(object, name);
    if (value.is_number_unsigned()) into = value.get<Unsigned>();
}

void read_fields(const json& fields, std::vector<Field>& into) {
    if (!fields.is_object()) return;
    for (const auto& [name, value] : fields.items()) {
        if (value.is_string())
            into.push_back({name, value.get<std::string>()});
        else if (value.is_boolean())
            into.push_back({name, value.get<bool>()});
        else if (value.is_number_integer())
            into.push_back({name, value.get<std::int64_t>()});
        else
            into.push_back({name, value.is_number() ? value.get<double>() : std::nan("")});
    }
}

}  // namespace

ordered_json event_json(const Event& event) {
    return {{"sequence", event.sequence},
            {"time", time_text(event.time)},
            {"severity", severity_name(event.severity)},
            {"slot", event.slot == Event::kGroup ? ordered_json() : ordered_json(event.slot)},
            {"generation", event.generation},
            {"pid", event.pid},
            {"name", to_utf8(event.name)},
            {"text", to_utf8(event.text)},
            {"kind", kKindNames.at(static_cast<std::size_t>(event.kind))},
            {"duration_seconds", has_ended(event.kind)
                                     ? ordered_json(std::chrono::duration<double>(event.duration).count())
                                     : ordered_json()},
            {"fields", fields_json(event)},
            {"cut", event.cut}};
}

Event event_from_json(const json& json) {
    Event event;
    for (int severity = 1; severity <= 4; ++severity)
        if (severity_name(static_cast<Severity>(severity)) == text(json, "severity"))
            event.severity = static_cast<Severity>(severity);
    const auto kind = std::find(kKindNames.begin(), kKindNames.end(), text(json, "kind"));
    if (kind != kKindNames.end()) event.kind = static_cast<EventKind>(kind - kKindNames.begin());
    read_number(json, "slot", event.slot);
    read_number(json, "generation", event.generation);
    read_number(json, "pid", event.pid);
    event.name = text(json, "name");
    event.text = text(json, "text");
    if (const auto& seconds = member(json, "duration_seconds"); seconds.is_number()) {
        // Beyond 68 years it is no duration, and beyond 292 not one of the type.
        const double clamped = std::clamp(seconds.get<double>(), -2147483648.0, 2147483647.0);
        event.duration = nanoseconds(static_cast<std::int64_t>(std::round(clamped * 1e9)));
    }
    read_fields(member(json, "fields"), event.fields);
    event.cut = member(json, "cut") == true;
    return event;
}

}  // namespace signalbox::wire
