#include "console/ctl/events.hpp"

#include <fmt/format.h>

#include "common/text/words.hpp"
#include "common/wire/event_json.hpp"
#include "console/ctl/json_fields.hpp"

namespace signalbox::ctl {

nlohmann::json to_json(const wire::Event& event) {
    return wire::event_json(event);
}

std::string event_line(const nlohmann::json& json) {
    const wire::Event event = wire::event_from_json(json);
    const std::string slot = number_field(json, "slot");
    // How an action ended names it already.
    const std::string name = event.kind == wire::EventKind::event ? text_field(json, "name") + ": " : "";
    return fmt::format("{}  {:<7}  {:<8} {}{}", text_field(json, "time"), text_field(json, "severity"),
                       slot == "-" ? "group" : "slot " + slot, name,
                       text::escaped(wire::event_in_words(event)));
}

}  // namespace signalbox::ctl
