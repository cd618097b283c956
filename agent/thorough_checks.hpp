// What a configuration names outside itself: certificates, users, addresses, networks. Opens and looks; changes nothing.
#pragma once

#include <string>
#include <vector>

#include "agent/configuration/composed.hpp"

namespace signalbox {

/// What is wrong, each with the name of its setting and a way out. May fork for a moment, to look at certificates.
std::vector<std::string> problems_outside(const configuration::Composed& composed);

}  // namespace signalbox
