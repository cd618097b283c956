#include "agent/supervisor/captured_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "agent/log/rotating_file.hpp"

namespace signalbox::supervisor {
namespace {

constexpr std::uint64_t kRest = 10'000'000;  ///< of a pipe that had more than is read at once

/// A pipe that is ready takes up to PIPE_BUF bytes without blocking; what is longer goes in parts.
bool write_now(int descriptor, std::string_view bytes) {
    constexpr std::size_t kPart = 4096;
    while (!bytes.empty()) {
        pollfd ready{descriptor, POLLOUT, 0};
        if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
        const ssize_t written = ::write(descriptor, bytes.data(), std::min(bytes.size(), kPart));
        if (written <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

}  // namespace

OutputSink::OutputSink(std::string file) {
    if (!file.empty())
        file_ = std::make_unique<log::RotatingFile>(log::RotatingFileOptions{.path = std::move(file)});
}

OutputSink::~OutputSink() {
    flush();
}

bool OutputSink::put(std::string_view line, int descriptor) {
    const std::string whole = fmt::format("{}\n", line);
    return file_ ? file_->append(whole) : write_now(descriptor, whole);
}

void OutputSink::write(std::string_view line, int descriptor) {
    if (dropped_ > 0 &&
        put(fmt::format("signalbox: {} lines could not be written and are missing here", dropped_),
            descriptor))
        dropped_ = 0;
    if (dropped_ > 0 || !put(line, descriptor)) ++dropped_;
}

void OutputSink::flush() {
    if (file_) file_->flush();
}

void OutputSink::reopen() {
    if (file_) file_->reopen();
}

int OutputSink::descriptor() const {
    return file_ ? file_->descriptor() : -1;
}

CapturedOutput::Pipes::Pipes(Pipes&& other) noexcept {
    std::swap(ends, other.ends);
}

CapturedOutput::Pipes::~Pipes() {
    for (const auto& pipe : ends)
        for (const int end : pipe)
            if (end >= 0) ::close(end);
}

void CapturedOutput::Pipes::take() {
    if (ends[0][1] < 0) return;
    ::dup2(ends[0][1], STDOUT_FILENO);
    ::dup2(ends[1][1], STDERR_FILENO);
    for (auto& pipe : ends)
        for (int& end : pipe)
            ::close(std::exchange(end, -1));
    // Or what a process has printed before it crashes is lost with its buffer. Without a buffer of its own, a stream that
    // was used before would go on as before.
    static std::array<char, BUFSIZ> buffer;
    std::setvbuf(stdout, buffer.data(), _IOLBF, buffer.size());
}

CapturedOutput::Pipes CapturedOutput::open() const {
    Pipes pipes;
    if (!enabled_ || ::pipe2(pipes.ends[0], O_CLOEXEC) != 0) return pipes;
    if (::pipe2(pipes.ends[1], O_CLOEXEC) == 0) return pipes;
    return {};
}

void CapturedOutput::watch(Pipes pipes, pid_t pid, std::string name) {
    if (pipes.ends[0][0] < 0) return;
    Process& process = processes_[pid];
    process.name = std::move(name);
    for (int which = 0; which < 2; ++which)
        process.lines[which] = OutputLines(std::exchange(pipes.ends[which][0], -1));
}

void CapturedOutput::pass_on(Process& process, int which, std::string_view line) {
    if (!line.empty()) process.last = line;
    sink_.write(fmt::format("{}: {}", process.name, line), which == 0 ? STDOUT_FILENO : STDERR_FILENO);
}

void CapturedOutput::read(std::uint64_t now) {
    for (auto& [pid, process] : processes_)
        for (int which = 0; which < 2; ++which) {
            if (now < process.not_before_ns[which]) continue;
            const bool more = process.lines[which].read(
                [&, &one = process](std::string_view line) { pass_on(one, which, line); });
            process.not_before_ns[which] = more ? now + kRest : 0;
        }
    sink_.flush();
}

void CapturedOutput::add_to(std::vector<pollfd>& descriptors, std::uint64_t now) const {
    for (const auto& [pid, process] : processes_)
        for (int which = 0; which < 2; ++which)
            if (now >= process.not_before_ns[which] && process.lines[which].descriptor() >= 0)
                descriptors.push_back({process.lines[which].descriptor(), POLLIN, 0});
}

std::uint64_t CapturedOutput::next_deadline(std::uint64_t now) const {
    std::uint64_t next = UINT64_MAX;
    for (const auto& [pid, process] : processes_)
        for (const std::uint64_t rested : process.not_before_ns)
            if (rested > now) next = std::min(next, rested);
    return next;
}

std::string CapturedOutput::finish(pid_t pid) {
    const auto found = processes_.find(pid);
    if (found == processes_.end()) return {};
    Process& process = found->second;
    for (int which = 0; which < 2; ++which)
        process.lines[which].finish([&](std::string_view line) { pass_on(process, which, line); });
    std::string last = std::move(process.last);
    processes_.erase(found);
    sink_.flush();
    return last;
}

std::vector<int> CapturedOutput::descriptors() const {
    std::vector<int> all;
    for (const auto& [pid, process] : processes_)
        for (const OutputLines& lines : process.lines)
            if (lines.descriptor() >= 0) all.push_back(lines.descriptor());
    if (sink_.descriptor() >= 0) all.push_back(sink_.descriptor());
    return all;
}

}  // namespace signalbox::supervisor
