#include "agent/supervisor/journal.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <ctime>

#include "agent/supervisor/captured_output.hpp"
#include "agent/telemetry/event_ring.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::supervisor {
namespace {

constexpr std::array<std::string_view, 5> kSeverityNames = {"", "debug", "info", "warning", "error"};

}  // namespace

void Journal::write(std::string_view line) const {
    if (sink_) {
        sink_->write(line);
        sink_->flush();
    } else {
        OutputSink("").write(line);
    }
}

void Journal::pass_on(std::string_view line) const {
    write(line);
}

void Journal::say(wire::Severity severity, std::string_view name, std::string_view text, std::uint32_t pid,
                  std::uint64_t generation) const {
    segment_.group_ring().append(telemetry::monotonic_ns(), pid, generation, severity, name, text);
    if (quiet_ && severity < wire::Severity::error) return;
    const auto now = std::chrono::system_clock::now();
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    write(fmt::format("{:%F %T}.{:03} {} {}: {}", fmt::gmtime(std::chrono::system_clock::to_time_t(now)),
                      milliseconds, kSeverityNames[static_cast<std::size_t>(severity)], name, text));
}

}  // namespace signalbox::supervisor
