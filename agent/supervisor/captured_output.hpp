// What the processes of a group write to stdout and stderr, through the arbiter: each line with the process that it is
// from, to the group's own stdout and stderr, or to a file that is rotated.
//
//     CapturedOutput captured({.enabled = true}, sink);
//     auto pipes = captured.open();                       // before the fork; in the child: pipes.take();
//     captured.watch(std::move(pipes), pid, "worker 0, generation 17");
//     captured.read(now);                                 // at every turn of the arbiter's loop
//     const std::string words = captured.finish(pid);     // it has ended: all that is left, and its last line
//
// Nobody waits for anybody for long. The arbiter reads whether or not the lines can be passed on; what the group's stderr
// or a full disk does not take is dropped, counted, and said as soon as there is room again. A process that floods its pipe
// waits for the arbiter, which reads at most 128 KiB of each pipe every 10 ms: so it is slowed down to some 12 MB/s, and
// never stopped. A process' children that outlive it find the pipe closed.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/supervisor/output_lines.hpp"

namespace signalbox::log {
class RotatingFile;
}

namespace signalbox::supervisor {

/// Where lines go. One thread; never waits.
class OutputSink {
public:
    /// `file`: "" for this process' own stdout and stderr.
    explicit OutputSink(std::string file);
    ~OutputSink();
    OutputSink(const OutputSink&) = delete;
    OutputSink& operator=(const OutputSink&) = delete;

    /// A whole line without its end. `descriptor`: STDOUT_FILENO or STDERR_FILENO, if there is no file.
    void write(std::string_view line, int descriptor = 2);
    /// What is in the buffer goes to the file.
    void flush();
    void reopen();
    /// For children to close; -1: none.
    int descriptor() const;

private:
    bool put(std::string_view line, int descriptor);

    std::unique_ptr<log::RotatingFile> file_;
    std::uint64_t dropped_ = 0;
};

class CapturedOutput {
public:
    CapturedOutput(bool enabled, OutputSink& sink) : enabled_(enabled), sink_(sink) {}

    /// Of stdout and stderr, the end to read and the end to write.
    struct Pipes {
        Pipes() = default;
        Pipes(Pipes&& other) noexcept;
        Pipes& operator=(Pipes&&) = delete;
        ~Pipes();
        /// In the child: they are its stdout, written line by line, and its stderr.
        void take();

        int ends[2][2] = {{-1, -1}, {-1, -1}};
    };
    /// Without capture, or descriptors for it: what does nothing, and the process writes where the arbiter does.
    Pipes open() const;
    void watch(Pipes pipes, pid_t pid, std::string name);

    /// Reads what has come.
    void read(std::uint64_t now);
    /// What to wait for at `now`, and when to read at the latest.
    void add_to(std::vector<pollfd>& descriptors, std::uint64_t now) const;
    std::uint64_t next_deadline(std::uint64_t now) const;
    /// The last line of a process that has ended, after all that it had still written; "" if it never wrote.
    std::string finish(pid_t pid);

    /// For children to close.
    std::vector<int> descriptors() const;

private:
    struct Process {
        std::string name;
        OutputLines lines[2];  ///< of stdout and of stderr
        std::uint64_t not_before_ns[2] = {0, 0};
        std::string last;
    };
    void pass_on(Process& process, int which, std::string_view line);

    bool enabled_;
    OutputSink& sink_;
    std::map<pid_t, Process> processes_;
};

}  // namespace signalbox::supervisor
