// A report for people: lines of at most 100 columns, and nothing in them that could harm a terminal.
#pragma once

#include <string>

#include "agent/inspect/report.hpp"

namespace signalbox::inspect {

std::string to_text(const Report& report);

}  // namespace signalbox::inspect
