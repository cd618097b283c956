// A segment as a reader sees it: mapped read-only, believed in nothing.
//
//     SegmentView view(descriptor);                       // or a path: the black box of a dead group
//     for (const wire::Worker& worker : view.workers()) ...
//
// The geometry is validated and copied once; every entry, index and length is checked at each use, because a
// broken process may have scribbled over the segment at any time. Nothing here writes, waits or follows a
// pointer from the segment. What cannot be as it is, is left out: quarantine.hpp says what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "agent/telemetry/connections.hpp"
#include "agent/telemetry/crash_record.hpp"
#include "agent/telemetry/directory.hpp"
#include "agent/telemetry/event_ring.hpp"
#include "agent/telemetry/image.hpp"
#include "agent/telemetry/layout.hpp"
#include "agent/telemetry/settings.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::telemetry {

/// The file is not a segment, or one that this version cannot read. what() says which and why.
class SegmentError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A listener as its record says.
struct ListenerInfo {
    unsigned index = 0;
    std::string address;
    std::string protocol;
    std::uint32_t backlog_limit = 0;
    std::uint32_t port = 0;
};

/// The group's own state.
struct GroupInfo {
    std::uint32_t target_workers = 0;
    bool degraded = false;
    std::uint32_t arbiter_pid = 0;
    std::uint32_t agent_pid = 0;
    std::uint32_t agent_starts = 0;
    std::uint64_t last_generation = 0;
};

class SegmentView {
public:
    enum class Hold {
        map,   ///< follows what the group writes
        copy,  ///< the segment as it is now; nothing that happens to the file can hurt the reader
    };

    /// Reads the segment behind `descriptor` (which may be closed afterwards). Throws SegmentError.
    explicit SegmentView(int descriptor, Hold hold = Hold::map);
    explicit SegmentView(const std::string& path, Hold hold = Hold::map);
    SegmentView(const SegmentView&) = delete;
    SegmentView& operator=(const SegmentView&) = delete;

    const Geometry& geometry() const { return geometry_; }
    const std::string& group_name() const { return group_name_; }
    const std::string& boot_id() const { return boot_id_; }  ///< 32 hexadecimal digits
    wire::WallTime created() const { return created_; }

    /// Nobody writes to what this reads: a copy.
    bool is_still() const { return hold_ == Hold::copy; }

    /// The instant from which ages are counted: now on CLOCK_MONOTONIC, or where the clock was stopped.
    std::uint64_t now() const;
    /// For a dead group, whose clock may be that of an earlier boot: its time ends at `monotonic_ns`.
    void stop_clock(std::uint64_t monotonic_ns) { stopped_at_ = monotonic_ns; }
    /// The newest start, heartbeat or event in the segment (CLOCK_MONOTONIC as the group saw it), or its creation.
    std::uint64_t last_sign_of_life() const;

    /// A monotonic instant of the segment as wall-clock time: by the clocks' present difference or, when the clock
    /// was stopped, by their difference at the segment's creation. Good within 36 years of now.
    wire::WallTime wall_time(std::uint64_t monotonic_ns) const;

    GroupInfo group() const;
    std::vector<ListenerInfo> listeners() const;
    /// Every seat with a process, in the order of slots; a predecessor that drains follows its successor.
    std::vector<wire::Worker> workers() const;

    /// How workers crashed, by time: the last kKeptCrashes of them, and those whose seat nobody has emptied.
    std::vector<CrashInfo> crashes() const;
    /// Of the worker in that seat; none if there is no worker or it makes no sense.
    ConnectionList connections(unsigned seat) const;

    /// The directory's entry `index`, if it is ready and makes sense.
    std::optional<CheckedEntry> entry(std::uint32_t index) const;
    /// Nobody has claimed it, or there is no such entry: the directory ends here.
    bool entry_is_vacant(std::uint32_t index) const;
    /// Its claimant says that it is complete (or it is damaged), so that it must make sense.
    bool entry_is_settled(std::uint32_t index) const;

    /// Facts, settings and tunables in the order of their registration; damaged entries are left out.
    std::vector<Setting> settings() const;
    /// `index` < geometry().settings_capacity; as it is in the segment.
    const SettingEntry& setting_entry(std::uint32_t index) const {
        return *at<SettingEntry>(geometry_.settings_offset + index * sizeof(SettingEntry));
    }

    const Header& header() const { return *at<Header>(0); }
    const Seat& seat(unsigned index) const { return *at<Seat>(seat_offset(index)); }
    const std::byte* lane(unsigned seat, unsigned index) const;
    const std::byte* retired_lane(unsigned which) const;
    const std::byte* registers(unsigned seat) const;
    const std::byte* retired_registers() const;

    EventRingView group_ring() const;
    EventRingView seat_ring(unsigned index) const;
    EventRingView seat_actions(unsigned index) const;

    /// As read_events(), of the group's ring or one of a seat's. An action of a dead process that has a
    /// `begin` in its action ring and an end in neither was under way when the process died.
    std::uint64_t read_group_events(std::uint64_t& next, std::vector<RawEvent>& out) const;
    std::uint64_t read_seat_events(unsigned seat, std::uint64_t& next, std::vector<RawEvent>& out) const;
    std::uint64_t read_seat_actions(unsigned seat, std::uint64_t& next, std::vector<RawEvent>& out) const;

private:
    template <class T>
    const T* at(std::uint64_t offset) const {
        return reinterpret_cast<const T*>(image_.data() + offset);
    }
    std::uint64_t seat_offset(unsigned index) const {
        return geometry_.seats_offset + index * geometry_.seat_stride;
    }
    void read(int descriptor);
    void copy_consistently(int descriptor);
    bool writer_is_gone(unsigned seat) const;
    const DirectoryEntry* raw_entry(std::uint32_t index) const;
    wire::Worker worker(unsigned seat_index, std::uint64_t now) const;

    Hold hold_;
    Image image_;
    std::optional<std::uint64_t> stopped_at_;
    std::int64_t created_monotonic_ns_ = 0;
    Geometry geometry_;
    std::string group_name_;
    std::string boot_id_;
    wire::WallTime created_;
};

}  // namespace signalbox::telemetry
