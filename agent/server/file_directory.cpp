#include "agent/server/file_directory.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <system_error>

namespace signalbox::server {

namespace {

bool is_plain_path(std::string_view path) {
    for (;;) {
        const std::string_view segment = path.substr(0, path.find('/'));
        if (segment.empty() || segment == "." || segment == ".." || segment.find('\0') != segment.npos)
            return false;
        if (segment.size() == path.size()) return true;
        path.remove_prefix(segment.size() + 1);
    }
}

/// What a client may find out by asking; anything else is the server's trouble.
bool is_absence(int error) {
    switch (error) {
        case ENOENT:
        case ENOTDIR:
        case EACCES:
        case EPERM:
        case ELOOP:
        case EXDEV:
        case ENAMETOOLONG:
        case ENXIO:
        case ENODEV:
            return true;
        default:
            return false;
    }
}

}  // namespace

FileDirectory::FileDirectory(const std::string& path)
    : root_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    if (!root_) throw std::system_error(errno, std::generic_category(), path);
}

FileDirectory FileDirectory::without_openat2(const std::string& path) {
    FileDirectory directory(path);
    directory.has_openat2_ = false;
    return directory;
}

std::optional<FileDirectory::Found> FileDirectory::open(const std::string& path) const {
    if (!is_plain_path(path)) return std::nullopt;
    // To open a FIFO or a device does something to it, so look first.
    const OpenFile place = open_beneath(path, O_PATH);
    struct stat status {};
    if (!place || ::fstat(place.get(), &status) != 0) return std::nullopt;
    if (S_ISDIR(status.st_mode)) return Found{.is_directory = true};
    if (!S_ISREG(status.st_mode)) return std::nullopt;

    OpenFile file = open_beneath(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    return Found{.file = std::move(file),
                 .size = static_cast<std::uint64_t>(status.st_size),
                 .inode = status.st_ino,
                 .modified = status.st_mtim};
}

OpenFile FileDirectory::open_beneath(const std::string& path, int flags) const {
    if (has_openat2_) {
        open_how how{};
        how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
        const long opened = ::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how);
        if (opened >= 0) return OpenFile(static_cast<int>(opened));
        if (errno != ENOSYS) {
            if (!is_absence(errno)) throw std::system_error(errno, std::generic_category(), path);
            return OpenFile(-1);
        }
        has_openat2_ = false;
    }
    OpenFile file = walk(path, flags | O_CLOEXEC | O_NOFOLLOW);
    if (!file && !is_absence(errno)) throw std::system_error(errno, std::generic_category(), path);
    return file;
}

/// Segment by segment, without following any link. With O_PATH a link itself is opened, which is no regular
/// file.
OpenFile FileDirectory::walk(std::string_view path, int flags) const {
    OpenFile inside(-1);
    for (;;) {
        const int from = inside ? inside.get() : root_.get();
        const std::string segment(path.substr(0, path.find('/')));
        if (segment.size() == path.size()) return OpenFile(::openat(from, segment.c_str(), flags));
        inside = OpenFile(::openat(from, segment.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!inside) return inside;
        path.remove_prefix(segment.size() + 1);
    }
}

}  // namespace signalbox::server
