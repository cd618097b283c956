// Events as lines for people and as JSON for scripts, wherever they come from.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "common/wire/messages.hpp"

namespace signalbox::ctl {

/// With the members that `events.list` gives.
nlohmann::json to_json(const wire::Event& event);

/// "2026-07-07T09:30:00.250Z  warning  slot 3  worker_exited: …", from the form of `events.list`, escaped.
std::string event_line(const nlohmann::json& json);

}  // namespace signalbox::ctl
