// The events of all event rings (the group's and every seat's) as one list in the order of time, the newest
// 1,000 retained. The chatter of the action rings stays where it is. What readers leave out
// because it is damaged is told among them, once.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <vector>

#include "agent/telemetry/quarantine.hpp"
#include "agent/telemetry/view.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::service {

class EventLog {
public:
    static constexpr std::size_t kRetained = 1000;

    /// `view` must outlive the log.
    explicit EventLog(const telemetry::SegmentView& view);

    /// What has been appended since the last call, and how much of it was overwritten before it could be
    /// read.
    wire::Events poll();

    const std::deque<wire::Event>& retained() const { return retained_; }
    std::uint64_t lost() const { return lost_; }  ///< in all

    /// The retained ones later than `instant`, but at least the newest `least`.
    std::vector<wire::Event> since(wire::WallTime instant, std::size_t least = 0) const;

private:
    struct Found {
        telemetry::RawEvent raw;
        std::uint32_t slot;
    };
    static constexpr std::uint64_t kFaultPeriodNs = 1'000'000'000;

    std::uint64_t read(std::vector<Found>& found);
    void note_faults(std::vector<Found>& found);

    const telemetry::SegmentView& view_;
    std::uint64_t next_group_ = 0;
    std::vector<std::uint64_t> next_seat_;
    std::uint64_t faults_due_ = 0;
    std::set<std::pair<telemetry::Fault::Where, std::uint32_t>> reported_;
    std::deque<wire::Event> retained_;
    std::uint64_t sequence_ = 0;
    std::uint64_t lost_ = 0;
};

}  // namespace signalbox::service
