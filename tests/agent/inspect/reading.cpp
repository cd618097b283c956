#include "tests/agent/inspect/reading.hpp"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "agent/inspect/json.hpp"
#include "agent/inspect/text.hpp"
#include "agent/telemetry/collector.hpp"
#include "agent/telemetry/verify.hpp"

namespace signalbox::tests {
namespace {

using telemetry::SegmentView;

void require(bool condition) {
    if (!condition) std::abort();
}

void read_as_the_agent_does(int descriptor) {
    const SegmentView view(descriptor);
    telemetry::Collector collector(view);
    for (int tick = 0; tick < 2; ++tick) {
        collector.collect();
        collector.new_instruments();
    }
    collector.absolute();
    view.listeners();
    view.settings();
    find_faults(view);
    view.crashes();
    std::vector<telemetry::RawEvent> events;
    std::uint64_t next = 0;
    view.read_group_events(next, events);
    for (unsigned seat = 0; seat < view.geometry().seat_count; ++seat) {
        next = 0;
        view.read_seat_events(seat, next, events);
        view.connections(seat);
    }
}

void check_text(const std::string& text) {
    std::size_t columns = 0;
    for (const char c : text) {
        if ((c & 0xc0) != 0x80) ++columns;
        if (c == '\n') columns = 0;
        require(columns <= 100);
        require(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
    }
}

}  // namespace

Reading read_everything(int descriptor) {
    Reading reading;
    try {
        read_as_the_agent_does(descriptor);
        SegmentView view(descriptor, SegmentView::Hold::copy);
        const inspect::Processes processes(descriptor);
        const inspect::Report report =
            make_report(view, processes, {.workers = true, .events = std::nullopt});
        reading.violations = verify(view, telemetry::Writers::gone).size();
        reading.text = to_text(report);
        reading.json = to_json(report).dump();
    } catch (const telemetry::SegmentError&) {
        reading.refused = true;
        return reading;
    }
    check_text(reading.text);
    require(nlohmann::json::accept(reading.json));
    return reading;
}

}  // namespace signalbox::tests
