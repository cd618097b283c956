// The command line of a server that is set up by a Configuration: one option for each row of the table of settings.
#pragma once

#include <optional>
#include <string>

#include "agent/configuration/composed.hpp"

namespace signalbox {

struct CommandLine {
    std::string file{};  ///< of --config; "": none
    bool check = false;
    bool print = false;
    configuration::Layer layer{};
};

/// Fills in `line`. What is returned is the status to end with at once: 0 after --help, EX_USAGE after messages on
/// stderr about all that is wrong.
std::optional<int> read_command_line(int argc, const char* const* argv, const configuration::Code& code,
                                     const HelpTexts& texts, CommandLine& line);

}  // namespace signalbox
