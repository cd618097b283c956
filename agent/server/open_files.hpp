// How many descriptors this process has open.
#pragma once

#include <cstdint>

namespace signalbox::server {

/// 0 if /proc is not there.
std::uint32_t count_open_files();

}  // namespace signalbox::server
