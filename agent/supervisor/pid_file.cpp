#include "agent/supervisor/pid_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace signalbox::supervisor {
namespace {

[[noreturn]] void fail(int file, const std::string& path) {
    const int error = errno;
    if (file >= 0) ::close(file);
    throw std::system_error(error, std::generic_category(), "pid_file: " + path);
}

/// "4242", as whoever has the file wrote it.
std::string owner_of(int file) {
    std::array<char, 16> text{};
    const ssize_t length = ::pread(file, text.data(), text.size(), 0);
    const std::string_view all(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    const std::string_view digits = all.substr(0, all.find_first_not_of("0123456789"));
    return digits.empty() ? "another one" : std::string(digits);
}

bool is_file_at(int descriptor, const std::string& path) {
    struct stat open {};
    struct stat named {};
    return ::fstat(descriptor, &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
           open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

}  // namespace

PidFile::PidFile(std::string path, int inherited) : path_(std::move(path)) {
    if (inherited >= 0 && is_file_at(inherited, path_)) {
        file_ = inherited;
        return;
    }
    if (inherited >= 0) ::close(inherited);
    if (path_.empty()) return;
    const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0) fail(file, path_);
    // Of the open file, not of this process: a successor that is given the descriptor has the lock without a moment in
    // which nobody has it.
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(file, F_OFD_SETLK, &lock) != 0) {
        if (errno != EACCES && errno != EAGAIN) fail(file, path_);
        const std::string owner = owner_of(file);
        ::close(file);
        throw std::runtime_error(fmt::format(
            "pid_file: {} belongs to process {}; stop that one first, or give another file", path_, owner));
    }
    file_ = file;
    take_over();
}

void PidFile::take_over() {
    if (file_ < 0) return;
    const std::string text = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file_, 0) != 0 ||
        ::pwrite(file_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
        fail(std::exchange(file_, -1), path_);
    owner_ = ::getpid();
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
