#pragma once

#include <cerrno>
#include <system_error>

namespace signalbox::telemetry {

/// What a system call returned. Throws std::system_error, with errno and `what`, if that is less than 0.
inline int checked(int result, const char* what) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), what);
    return result;
}

}  // namespace signalbox::telemetry
