// A directory whose files may be served, and nothing outside it.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "agent/server/response_source.hpp"

namespace signalbox::server {

class FileDirectory {
public:
    struct Found {
        OpenFile file{-1};  ///< open for reading; none if it is a directory
        std::uint64_t size = 0;
        std::uint64_t inode = 0;
        timespec modified{};
        bool is_directory = false;
    };

    /// Opened once: what is renamed over `path` later is not seen. Throws std::system_error naming it.
    explicit FileDirectory(const std::string& path);

    /// A regular file or a directory. `path` is relative, "a/b.css". Nothing for what is not there, may not be
    /// read, is anything else (a FIFO or device is not even opened), or lies outside: by "..", an absolute path
    /// or a link. Links that stay inside are followed; on a kernel without openat2 (before 5.6) none is.
    /// Throws std::system_error when the process has no descriptors left and the like.
    std::optional<Found> open(const std::string& path) const;

    /// One that does not know openat2, for the test of that.
    static FileDirectory without_openat2(const std::string& path);

private:
    OpenFile open_beneath(const std::string& path, int flags) const;
    OpenFile walk(std::string_view path, int flags) const;

    OpenFile root_;
    mutable bool has_openat2_ = true;
};

}  // namespace signalbox::server
