// A file of lines that is rotated by its size, and outlives a full disk.
//
//     RotatingFile file({.path = "/var/log/hello.log"});
//     file.append("one line\n");           // into a buffer
//     file.flush();                        // soon
//
// A file that cannot be opened or written is tried again every second, and what has been appended meanwhile waits in the
// buffer. Several processes may write to one path: lines stay whole, and one of them rotates. A file that others rotate or
// delete is noticed at the next write. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

struct stat;

namespace signalbox::log {

struct RotatingFileOptions {
    std::string path{};
    std::uint64_t rotate_at_bytes = 64 << 20;  ///< a file that would grow beyond is rotated; 0: never
    unsigned keep = 5;                         ///< rotated files: path.1 is the newest, path.5 the oldest
    std::uint64_t buffer_bytes = 256 << 10;    ///< what waits for a disk that is full; more is dropped
};

class RotatingFile {
public:
    /// The file is opened when there is something to write.
    explicit RotatingFile(RotatingFileOptions options);
    /// What waits is lost: flush() first.
    ~RotatingFile();
    RotatingFile(const RotatingFile&) = delete;
    RotatingFile& operator=(const RotatingFile&) = delete;

    /// `line` ends with its line end. False: the buffer is full, and the line is lost.
    bool append(std::string_view line);
    void flush();
    /// Lets go of the file and opens it at once.
    void reopen();
    /// How many lines are still in the buffer.
    std::uint64_t waiting() const;
    /// For children to close; -1: it is not open.
    int descriptor() const { return file_; }

private:
    bool open();
    void close();
    bool is_current(struct stat& status) const;
    bool write_some();
    std::size_t lines_within(std::uint64_t bytes) const;
    bool rotate();
    std::size_t without_half_line(std::size_t written);

    RotatingFileOptions options_;
    int file_ = -1;
    bool regular_ = false;
    std::string lines_;  ///< not yet in the file
    std::chrono::steady_clock::time_point next_try_{};
};

}  // namespace signalbox::log
