// An event as JSON, with the members that `events.list` gives: for scripts, and for log files.
#pragma once

#include <nlohmann/json.hpp>

#include "common/wire/event.hpp"

namespace signalbox::wire {

/// What is not UTF-8 is replaced, so that the document can always be written.
nlohmann::ordered_json event_json(const Event& event);

/// The way back. Members that are missing or of another type keep their defaults; `time` and `sequence` are not
/// read.
Event event_from_json(const nlohmann::json& json);

}  // namespace signalbox::wire
