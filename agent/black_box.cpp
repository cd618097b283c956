#include "agent/black_box.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace signalbox {
namespace {

constexpr std::string_view kSuffix = ".segment";
/// A runtime directory is often a small tmpfs, and a segment that grows into a full one ends its writers (SIGBUS).
constexpr std::uint64_t kLeastFree = std::uint64_t{64} << 20;

std::string message(int error) {
    return std::generic_category().message(error);
}

bool is_own_directory(const char* path) {
    struct stat status {};
    return ::lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid();
}

/// "" if there is none.
std::string runtime_directory() {
    const char* user = std::getenv("XDG_RUNTIME_DIR");
    // Under sudo it is another user's.
    if (user && user[0] == '/' && is_own_directory(user)) return user;
    return ::geteuid() == 0 ? "/run" : "";
}

/// A group's name as part of a file's.
std::string file_name(std::string name) {
    for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.') c = '_';
    if (name.starts_with('.')) name.front() = '_';
    return name;
}

/// Why no segment can be made in `directory`, which is made if it is not there; "" if one can.
std::string obstacle(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
        return fmt::format("{}: {}", directory, message(errno));
    if (!is_own_directory(directory.c_str()))
        return fmt::format("{} is not this user's directory", directory);
    if (::access(directory.c_str(), W_OK) != 0) return fmt::format("{}: {}", directory, message(errno));
    struct statvfs space {};
    if (::statvfs(directory.c_str(), &space) == 0 && space.f_bavail * space.f_frsize < kLeastFree)
        return fmt::format("{} has less than {} MiB free", directory, kLeastFree >> 20);
    return {};
}

/// A process of the group that made it lives.
bool is_held(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (file < 0) return false;
    const bool held = ::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ::close(file);
    return held;
}

/// "mailroom.segment" → "mailroom-4242.segment"
std::string with_pid(const std::string& path) {
    const std::size_t stem = path.ends_with(kSuffix) ? path.size() - kSuffix.size() : path.size();
    return fmt::format("{}-{}{}", path.substr(0, stem), ::getpid(), path.substr(stem));
}

}  // namespace

BlackBox::BlackBox(const GroupOptions& options, int predecessor) : predecessor_(predecessor) {
    if (options.anonymous_segment) return;
    if (options.segment_path.empty())
        choose_default(options.name);
    else
        choose(options.segment_path);
}

BlackBox::~BlackBox() {
    if (directory_ >= 0) ::close(directory_);
    if (owner_ == ::getpid()) ::unlink(path_.c_str());
}

void BlackBox::choose_default(const std::string& group) {
    const std::string runtime = runtime_directory();
    const std::string directory = runtime + "/signalbox";
    const std::string why =
        runtime.empty() ? "XDG_RUNTIME_DIR is not set, or another user's" : obstacle(directory);
    if (why.empty()) return choose(directory + '/' + file_name(group) + std::string(kSuffix));
    warning_ = fmt::format(
        "The segment is anonymous memory and ends with the group, because {}. Name a file with segment_path, "
        "or ask for "
        "anonymous_segment.",
        why);
}

void BlackBox::choose(std::string path) {
    lock_directory(std::filesystem::path(path).parent_path());
    if (is_predecessors(path)) {
        promised_ = path;
        path_ = path + ".upgrade";
        owner_ = ::getpid();
        return;
    }
    if (is_held(path)) {
        path_ = with_pid(path);
        owner_ = ::getpid();
        warning_ = fmt::format("Another group has {}; this one's segment is {}.", path, path_);
        return;
    }
    path_ = std::move(path);
    ::rename(path_.c_str(), (path_ + ".previous").c_str());  // fails where there was none
}

bool BlackBox::is_predecessors(const std::string& path) const {
    struct stat open {};
    struct stat named {};
    return predecessor_ >= 0 && ::fstat(predecessor_, &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
           open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

std::string BlackBox::take_over() {
    if (promised_.empty()) return {};
    lock_directory(std::filesystem::path(promised_).parent_path());
    ::rename(promised_.c_str(), (promised_ + ".previous").c_str());
    const int error = ::rename(path_.c_str(), promised_.c_str()) == 0 ? 0 : errno;
    if (directory_ >= 0) ::close(directory_);
    directory_ = -1;
    if (error != 0)
        return fmt::format("The segment stays {}; it cannot be renamed to {}: {}.", path_, promised_,
                           message(error));
    path_ = std::exchange(promised_, {});
    owner_ = 0;
    return {};
}

void BlackBox::lock_directory(const std::string& directory) {
    // If it cannot be opened, creating the segment there says why.
    directory_ = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_ < 0) return;
    while (::flock(directory_, LOCK_EX) != 0 && errno == EINTR) {
    }
}

void BlackBox::hold(int segment) {
    // Of the open file, so every process that inherits the descriptor holds it, and the last one lets go.
    ::flock(segment, LOCK_EX | LOCK_NB);
    if (directory_ >= 0) ::close(directory_);
    directory_ = -1;
}

}  // namespace signalbox
