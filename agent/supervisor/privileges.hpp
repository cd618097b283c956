// What a group may do on its host: how many descriptors it has, and whom it runs as.
#pragma once

#include <cstdint>
#include <string>

namespace signalbox::supervisor {

/// RLIMIT_NOFILE of this process and its children; 0: as it is. Throws std::runtime_error that names the hard limit.
void set_open_files_limit(std::uint64_t files);

/// Throws std::invalid_argument if become() would: there is no such user or group, or this is not root.
void check_account(const std::string& user, const std::string& group);

/// Becomes `user`, with `group` or the user's own group and the user's further groups, for good; "": stays. /proc/self
/// stays readable. Throws std::invalid_argument (no such user or group; a group without a user) or std::system_error
/// (not root).
void become(const std::string& user, const std::string& group);

}  // namespace signalbox::supervisor
