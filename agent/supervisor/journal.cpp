#include "agent/supervisor/journal.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>

#include "agent/telemetry/event_ring.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::supervisor {
namespace {

constexpr std::array<std::string_view, 5> kSeverityNames = {"", "debug", "info", "warning", "error"};

/// A pipe that is ready takes up to PIPE_BUF bytes without blocking.
void write_line(std::string_view line) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, 0) != 1) return;
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void Journal::pass_on(std::string_view line) const {
    write_line(fmt::format("{}\n", line));
}

void Journal::say(wire::Severity severity, std::string_view name, std::string_view text, std::uint32_t pid,
                  std::uint64_t generation) const {
    segment_.group_ring().append(telemetry::monotonic_ns(), pid, generation, severity, name, text);
    if (quiet_ && severity < wire::Severity::error) return;
    const auto now = std::chrono::system_clock::now();
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    write_line(fmt::format("{:%F %T}.{:03} {} {}: {}\n",
                           fmt::gmtime(std::chrono::system_clock::to_time_t(now)), milliseconds,
                           kSeverityNames[static_cast<std::size_t>(severity)], name, text));
}

}  // namespace signalbox::supervisor
