#include "agent/supervisor/pid_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace signalbox::supervisor {
namespace {

[[noreturn]] void fail(int file, const std::string& path) {
    const int error = errno;
    if (file >= 0) ::close(file);
    throw std::system_error(error, std::generic_category(), "pid_file: " + path);
}

}  // namespace

PidFile::PidFile(std::string path) : path_(std::move(path)), owner_(::getpid()) {
    if (path_.empty()) return;
    const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0) fail(file, path_);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(file, F_SETLK, &lock) != 0) {
        if (errno != EACCES && errno != EAGAIN) fail(file, path_);
        ::fcntl(file, F_GETLK, &lock);
        ::close(file);
        throw std::runtime_error(
            fmt::format("pid_file: {} belongs to process {}; stop that one first, or give another file",
                        path_, lock.l_pid));
    }
    const std::string text = std::to_string(owner_) + "\n";
    if (::ftruncate(file, 0) != 0 ||
        ::write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        fail(file, path_);
    file_ = file;
}

PidFile::~PidFile() {
    if (file_ < 0) return;
    if (::getpid() == owner_) {
        // Emptied as well: who has given up root may not be allowed to remove it.
        [[maybe_unused]] const int emptied = ::ftruncate(file_, 0);
        ::unlink(path_.c_str());
    }
    ::close(file_);
}

}  // namespace signalbox::supervisor
