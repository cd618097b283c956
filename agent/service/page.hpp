// The group at a glance, for any browser: one HTML page without scripts that renews itself.
#pragma once

#include <string>

#include "agent/service/feeds.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::service {

std::string front_page(const telemetry::SegmentView& view, const Feeds& feeds);

/// Text from anywhere as HTML text or a quoted attribute: well-formed UTF-8 without markup or control
/// characters.
std::string html_escaped(std::string_view text);

}  // namespace signalbox::service
