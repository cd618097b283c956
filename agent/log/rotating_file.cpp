#include "agent/log/rotating_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace signalbox::log {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kTryAgainAfter{1};
constexpr std::size_t kWriteAtOnce = 64 << 10;

}  // namespace

RotatingFile::RotatingFile(RotatingFileOptions options) : options_(std::move(options)) {}

RotatingFile::~RotatingFile() {
    close();
}

bool RotatingFile::open() {
    // Non-blocking: a named pipe without a reader must not hold the writer up.
    file_ = ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                   0640);
    struct stat status {};
    regular_ = file_ >= 0 && ::fstat(file_, &status) == 0 && S_ISREG(status.st_mode);
    return file_ >= 0;
}

void RotatingFile::close() {
    if (file_ >= 0) ::close(file_);
    file_ = -1;
}

void RotatingFile::reopen() {
    close();
    open();
    next_try_ = {};
}

std::uint64_t RotatingFile::waiting() const {
    return static_cast<std::uint64_t>(std::count(lines_.begin(), lines_.end(), '\n'));
}

bool RotatingFile::append(std::string_view line) {
    if (lines_.size() >= options_.buffer_bytes) flush();
    if (lines_.size() >= options_.buffer_bytes) return false;
    lines_ += line;
    if (lines_.size() >= kWriteAtOnce) flush();
    return true;
}

void RotatingFile::flush() {
    if (lines_.empty() || Clock::now() < next_try_) return;
    while (!lines_.empty()) {
        if (write_some()) continue;
        next_try_ = Clock::now() + kTryAgainAfter;
        return;
    }
}

/// What is open is what the path names; `status` is that of the open file.
bool RotatingFile::is_current(struct stat& status) const {
    struct stat named {};
    return ::fstat(file_, &status) == 0 && ::stat(options_.path.c_str(), &named) == 0 &&
           status.st_dev == named.st_dev && status.st_ino == named.st_ino;
}

/// Writes the lines for which the file has room before it is to be rotated, or rotates it. False: try again
/// later.
bool RotatingFile::write_some() {
    if (file_ < 0 && !open()) return false;
    struct stat status {};
    if (!is_current(status)) {  // renamed or deleted by somebody else
        close();
        return open();
    }
    const std::size_t first = lines_.find('\n') + 1;
    std::uint64_t room = UINT64_MAX;
    if (regular_ && options_.rotate_at_bytes > 0)
        room = options_.rotate_at_bytes -
               std::min(static_cast<std::uint64_t>(status.st_size), options_.rotate_at_bytes);
    if (first > room && status.st_size > 0 && rotate()) return true;
    const std::size_t bytes = std::max(first, lines_within(std::min<std::uint64_t>(room, kWriteAtOnce)));
    const ssize_t written = ::write(file_, lines_.data(), bytes);
    if (written <= 0) return false;
    const bool all = static_cast<std::size_t>(written) == bytes;
    lines_.erase(0, all ? bytes : without_half_line(static_cast<std::size_t>(written)));
    return all;
}

/// The length of as many of the first lines as take at most so many bytes.
std::size_t RotatingFile::lines_within(std::uint64_t bytes) const {
    if (lines_.size() <= bytes) return lines_.size();
    const std::size_t end = bytes == 0 ? std::string::npos : lines_.rfind('\n', bytes - 1);
    return end == std::string::npos ? 0 : end + 1;
}

/// A disk that is filling up takes the beginning of a line: takes it back, unless somebody else has written behind
/// it. Returns how many of the `written` bytes stay.
std::size_t RotatingFile::without_half_line(std::size_t written) {
    const std::size_t last = lines_.rfind('\n', written - 1);
    const std::size_t whole = last == std::string::npos ? 0 : last + 1;
    struct stat status {};
    const off_t end = regular_ ? ::lseek(file_, 0, SEEK_CUR) : -1;
    if (whole == written || end < 0 || ::fstat(file_, &status) != 0 || status.st_size != end) return written;
    return ::ftruncate(file_, end - static_cast<off_t>(written - whole)) == 0 ? whole : written;
}

/// False: this process cannot, or another one is at it.
bool RotatingFile::rotate() {
    struct stat status {};
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) return false;
    if (is_current(status)) {  // else another process has just done it
        const auto kept = [this](unsigned number) { return fmt::format("{}.{}", options_.path, number); };
        for (unsigned number = options_.keep; number > 1; --number)
            std::rename(kept(number - 1).c_str(), kept(number).c_str());
        const int done = options_.keep > 0 ? std::rename(options_.path.c_str(), kept(1).c_str())
                                           : ::unlink(options_.path.c_str());
        if (done != 0) {
            ::flock(file_, LOCK_UN);
            return false;
        }
    }
    close();
    return open();
}

}  // namespace signalbox::log
