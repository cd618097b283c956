// What a process writes into a pipe, line by line, without ever waiting for it.
//
//     OutputLines lines(pipe_end);
//     lines.read([](std::string_view line) { ... });        // when poll() says so, and after the process has ended
//
// A line is escaped: control bytes and what is not UTF-8 show as \x1b. One that is longer than kLongestLine comes in
// parts. At most kBytesAtOnce are read at a time, so that whoever floods the pipe waits for its reader, not its reader for
// it.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace signalbox::supervisor {

class OutputLines {
public:
    static constexpr std::size_t kLongestLine = 4096;
    static constexpr std::size_t kBytesAtOnce = 64 << 10;
    using Handler = std::function<void(std::string_view line)>;

    OutputLines() = default;
    /// Owns the descriptor, the reading end; makes it non-blocking.
    explicit OutputLines(int descriptor);
    ~OutputLines();
    OutputLines(OutputLines&& other) noexcept;
    OutputLines& operator=(OutputLines&& other) noexcept;

    int descriptor() const { return descriptor_; }  ///< -1 once all writers have closed it
    /// What is there now. At the end of it, the beginning of a line counts as one.
    void read(const Handler& handle);
    /// The writer has ended: all that is left, and no more, even if one of its children still has the pipe.
    void finish(const Handler& handle);
    /// The last line that was not empty; at most kLongestLine bytes before it was escaped.
    const std::string& last_line() const { return last_; }

private:
    bool read_some(const Handler& handle);
    void take(std::string_view bytes, const Handler& handle);
    void tell(std::string_view line, const Handler& handle);
    void finish_line(const Handler& handle);
    void close();

    int descriptor_ = -1;
    std::string begun_;  ///< of a line whose end has not come
    std::string last_;
};

}  // namespace signalbox::supervisor
