// What a name that nobody knows was probably meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace signalbox::configuration {

/// "; did you mean 'workers'?": the nearest of `known` by edits and swaps of letters (optimal string alignment), or ""
/// if none is near.
std::string suggestion(std::string_view name, const std::vector<std::string>& known);

}  // namespace signalbox::configuration
