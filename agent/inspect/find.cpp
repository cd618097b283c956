#include "agent/inspect/find.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/telemetry/layout.hpp"

namespace signalbox::inspect {
namespace {

std::string message(int error) {
    return std::generic_category().message(error);
}

/// -1 if what is behind `path` is no segment; other kinds of files are not even opened, which could block.
int open_if_segment(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return -1;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return -1;
    std::array<char, sizeof telemetry::kMagic> magic{};
    const ssize_t got = ::pread(descriptor, magic.data(), magic.size(), 0);
    if (got == static_cast<ssize_t>(magic.size()) &&
        std::memcmp(magic.data(), telemetry::kMagic, magic.size()) == 0)
        return descriptor;
    ::close(descriptor);
    return -1;
}

}  // namespace

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), name_(std::move(other.name_)) {}

File::~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

File open_path(const std::string& path) {
    // O_NONBLOCK: a named pipe would otherwise wait for a writer.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        const char* way_out = errno == ENOENT
                                  ? "; give the path of a segment, or --pid of a process of the group"
                              : errno == EACCES ? "; run this as the group's user, or as root"
                                                : "";
        throw NotFound(fmt::format("{}: {}{}", path, message(errno), way_out));
    }
    File file(descriptor, path);
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
        throw NotFound(fmt::format("{}: not a segment: it is not a regular file", path));
    return file;
}

File open_segment_of(pid_t pid) {
    // The group's processes keep the descriptor; a process that only has it mapped shows it to root.
    for (const char* kind : {"fd", "map_files"}) {
        const std::string directory = fmt::format("/proc/{}/{}", pid, kind);
        std::error_code error;
        std::filesystem::directory_iterator files(directory, error);
        if (error && std::string_view(kind) == "fd") {
            if (error == std::errc::no_such_file_or_directory)
                throw NotFound(
                    fmt::format("process {}: there is no such process; of a dead group, give the file", pid));
            throw NotFound(
                fmt::format("process {}: {}; run this as its user, or as root", pid, error.message()));
        }
        for (; !error && files != std::filesystem::directory_iterator(); files.increment(error))
            if (const int descriptor = open_if_segment(files->path()); descriptor >= 0)
                return {descriptor, fmt::format("segment of process {}", pid)};
    }
    throw NotFound(
        fmt::format("process {}: it has no segment open; give the pid of an arbiter, worker or agent", pid));
}

}  // namespace signalbox::inspect
