#include "console/ctl/events.hpp"

#include <fmt/format.h>

#include <ctime>

#include "common/text/words.hpp"
#include "console/ctl/json_fields.hpp"

namespace signalbox::ctl {
namespace {

std::string utc(wire::WallTime time) {
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(milliseconds);
    const auto whole = static_cast<std::time_t>(seconds.time_since_epoch().count());
    std::tm parts{};
    gmtime_r(&whole, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       (milliseconds - seconds).count());
}

const char* name_of(wire::Severity severity) {
    switch (severity) {
        case wire::Severity::debug:
            return "debug";
        case wire::Severity::info:
            return "info";
        case wire::Severity::warning:
            return "warning";
        case wire::Severity::error:
            return "error";
    }
    return "unknown";
}

}  // namespace

nlohmann::json to_json(const wire::Event& event) {
    nlohmann::json json = {{"sequence", event.sequence},
                           {"time", utc(event.time)},
                           {"severity", name_of(event.severity)},
                           {"slot", nullptr},
                           {"generation", event.generation},
                           {"pid", event.pid},
                           {"name", event.name},
                           {"text", event.text}};
    if (event.slot != wire::Event::kGroup) json["slot"] = event.slot;
    return json;
}

std::string event_line(const nlohmann::json& event) {
    const std::string slot = number_field(event, "slot");
    return fmt::format("{}  {:<7}  {:<8} {}: {}", text_field(event, "time"), text_field(event, "severity"),
                       slot == "-" ? "group" : "slot " + slot, text_field(event, "name"),
                       text_field(event, "text"));
}

}  // namespace signalbox::ctl
