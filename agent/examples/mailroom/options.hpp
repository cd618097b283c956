// The mailroom's command line.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "signalbox/group.hpp"

namespace mailroom {

struct Options {
    std::vector<std::string> addresses = {"127.0.0.1:8080"};
    signalbox::GroupOptions group;
    signalbox::ListenerOptions listener;
    std::string log_path;  ///< of events as JSON lines; empty: none
    bool allow_misbehaviour = false;
    std::string crash_at_start_if;            ///< this file is there; empty: never
    std::chrono::milliseconds slow_start{0};  ///< what a worker needs to become ready
};

/// "250ms", "5s", "2min". Throws std::invalid_argument with what would be right.
std::chrono::milliseconds parse_duration(const std::string& text);

/// Fills `options`; what is returned is the status to leave with at once: 0 after --help, EX_USAGE after a
/// message on stderr about a wrong value.
std::optional<int> parse_command_line(int argc, char** argv, Options& options);

}  // namespace mailroom
