// Crashes with names for the addresses of their stacks.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "agent/inspect/symbols.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::inspect {

struct FrameReport {
    std::uint64_t address = 0;
    std::string module;        ///< without the directory; "": none that is known
    std::uint64_t offset = 0;  ///< in the module's file
    std::optional<Symbol> symbol;
};

struct CrashReport {
    telemetry::CrashInfo crash;
    wire::WallTime time;
    std::chrono::nanoseconds before_end{0};
    std::chrono::nanoseconds activity_age{0};
    std::vector<FrameReport> frames;
};

/// All that the segment has, oldest first; ages are counted until view.now().
std::vector<CrashReport> report_crashes(const telemetry::SegmentView& view);

/// "bad_letter+0x1a (mailroom) letters.cpp:98", or "mailroom+0x41f3" without symbols; not escaped.
std::string frame_text(const FrameReport& frame);

}  // namespace signalbox::inspect
