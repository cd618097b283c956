// What a process can tell of itself, with secrets taken out.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace signalbox::telemetry {

using Facts = std::vector<std::pair<std::string, std::string>>;

/// command_line, executable, build_id, host, kernel, started, limit_…, versions. What cannot be found out is
/// left out.
Facts process_facts();

/// The environment, sorted by name.
Facts environment_facts();

}  // namespace signalbox::telemetry
