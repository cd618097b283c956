#include "agent/inspect/crashes.hpp"

#include <fmt/format.h>

namespace signalbox::inspect {
namespace {

std::chrono::nanoseconds since(std::uint64_t then, std::uint64_t now) {
    const std::uint64_t age = then != 0 && now > then ? now - then : 0;
    return std::chrono::nanoseconds(std::min<std::uint64_t>(age, INT64_MAX));
}

}  // namespace

std::vector<CrashReport> report_crashes(const telemetry::SegmentView& view) {
    std::vector<CrashReport> reports;
    Symbols symbols;
    for (telemetry::CrashInfo& crash : view.crashes()) {
        CrashReport report;
        report.time = view.wall_time(crash.monotonic_ns);
        report.before_end = since(crash.monotonic_ns, view.now());
        report.activity_age = since(crash.activity_since_ns, crash.monotonic_ns);
        for (std::size_t i = 0; i < crash.frames.size(); ++i) {
            const telemetry::CrashFrame& frame = crash.frames[i];
            FrameReport shown{frame.address, {}, frame.offset, {}};
            if (frame.module) {
                const telemetry::ModuleInfo& module = crash.modules[*frame.module];
                shown.module = module.name();
                // The call is before the address that it returns to.
                const std::uint64_t back = i > 0 ? 1 : 0;
                shown.symbol = symbols.find(module, frame.offset - back);
                if (shown.symbol) shown.symbol->offset += back;
            }
            report.frames.push_back(std::move(shown));
        }
        report.crash = std::move(crash);
        reports.push_back(std::move(report));
    }
    return reports;
}

std::string frame_text(const FrameReport& frame) {
    if (frame.module.empty()) return fmt::format("{:#x}", frame.address);
    if (!frame.symbol) return fmt::format("{}+{:#x}", frame.module, frame.offset);
    std::string text =
        fmt::format("{}+{:#x} ({})", frame.symbol->function, frame.symbol->offset, frame.module);
    if (!frame.symbol->source.empty())
        text += fmt::format(" {}:{}", frame.symbol->source, frame.symbol->line);
    return text;
}

}  // namespace signalbox::inspect
