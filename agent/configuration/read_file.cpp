#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "agent/configuration/layer.hpp"

namespace signalbox::configuration {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;

}  // namespace

std::string read_file(const std::string& path) {
    const auto fail = [&](std::string_view why) {
        throw std::runtime_error(fmt::format("{}: {}", path, why));
    };
    // Opening what is no file, a pipe say, must not wait for anybody.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) fail(fmt::format("cannot be opened: {}", std::strerror(errno)));
    struct stat status {};
    std::string text;
    int error = ::fstat(file, &status) == 0 ? 0 : errno;
    const bool is_file = S_ISREG(status.st_mode);
    while (error == 0 && is_file && text.size() <= kLargest) {
        char buffer[16384];
        const ssize_t bytes = ::read(file, buffer, sizeof buffer);
        if (bytes == 0) break;
        if (bytes > 0) text.append(buffer, static_cast<std::size_t>(bytes));
        if (bytes < 0 && errno != EINTR) error = errno;
    }
    ::close(file);
    if (error != 0) fail(fmt::format("cannot be read: {}", std::strerror(error)));
    if (!is_file)
        fail(S_ISDIR(status.st_mode) ? "is a directory; name a file" : "is not a regular file; name one");
    if (text.size() > kLargest)
        fail(fmt::format("is larger than {} KiB, which no configuration is", kLargest >> 10));
    return text;
}

}  // namespace signalbox::configuration
