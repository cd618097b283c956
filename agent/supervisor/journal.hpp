// What the arbiter has to say: into the group's event ring, and a line on stderr.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/telemetry/segment.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::supervisor {

class Journal {
public:
    /// `quiet`: only errors on stderr.
    Journal(telemetry::Segment& segment, bool quiet) : segment_(segment), quiet_(quiet) {}

    /// `pid` and `generation` of the worker that it is about; 0: the group. Never blocks: a line that stderr
    /// cannot take at once is dropped.
    void say(wire::Severity severity, std::string_view name, std::string_view text, std::uint32_t pid = 0,
             std::uint64_t generation = 0) const;

    /// A line of somebody else's, as it is, on stderr only; likewise.
    void pass_on(std::string_view line) const;

private:
    telemetry::Segment& segment_;
    bool quiet_;
};

}  // namespace signalbox::supervisor
