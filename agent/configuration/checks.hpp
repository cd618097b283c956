// What single values cannot show: settings that do not go together. Looks at nothing outside.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "signalbox/configuration.hpp"

namespace signalbox::configuration {

struct Problem {
    std::string setting;  ///< "max_workers"
    std::string text;     ///< "1500 is more than 1000"
    std::string other{};  ///< the setting that it does not go with
};

/// "027"; nothing if it is empty or none.
std::optional<mode_t> parse_umask(std::string_view octal);

std::vector<Problem> problems_of(const GroupOptions& options);
std::vector<Problem> problems_of(const ConfiguredListener& listener);

}  // namespace signalbox::configuration
