#include "agent/telemetry/process_status.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <string>

namespace signalbox::telemetry {

std::optional<ProcessStatus> process_status(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string text;
    std::getline(file, text, '\0');
    // The second field, the name in brackets, may hold anything. Behind it come the state and, as the 22nd, the
    // time of the start.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) return {};
    std::istringstream fields(text.substr(name_end + 1));
    char state = 0;
    fields >> state;
    std::string skipped;
    for (int i = 4; i < 22; ++i)
        fields >> skipped;
    ProcessStatus status{.has_ended = state == 'Z' || state == 'X'};
    fields >> status.start_ticks;
    if (!fields) return {};
    return status;
}

}  // namespace signalbox::telemetry
