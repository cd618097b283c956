// A group without processes: a segment whose workers the test starts, lets record and ends, all in its own
// process.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "agent/telemetry/segment.hpp"
#include "agent/telemetry/view.hpp"
#include "signalbox/telemetry.hpp"

struct FakeGroup {
    explicit FakeGroup(const std::string& name = "test", unsigned slots = 4);

    signalbox::telemetry::Segment& segment() { return telemetry.segment(); }
    signalbox::telemetry::Seat& seat(unsigned index) { return *segment().seat(index); }

    /// Returns the generation.
    std::uint64_t start_worker(unsigned seat);
    /// Calls `record` as if it were that worker.
    void in_worker(unsigned seat, const std::function<void()>& record);
    void end_worker(unsigned seat);
    void log(const std::string& name, const std::string& text);

    signalbox::Telemetry telemetry;
    std::uint64_t last_generation = 0;
};
