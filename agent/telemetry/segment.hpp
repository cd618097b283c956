// The shared memory itself: creates it, maps it, and says where things lie. For processes that write; readers
// that must not trust it use SegmentView.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>

#include "agent/telemetry/layout.hpp"
#include "signalbox/telemetry.hpp"

namespace signalbox::telemetry {

class EventRing;

class Segment {
public:
    /// Creates and maps a segment of the size that the options' limits need; only pages that are used take
    /// memory. Throws std::invalid_argument or std::system_error.
    explicit Segment(const TelemetryOptions& options);
    ~Segment();
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;

    int descriptor() const { return descriptor_; }
    /// A private copy, made at creation: what is in the mapping may be scribbled over.
    const Geometry& geometry() const { return geometry_; }

    Header& header() const { return *at<Header>(0); }
    Group& group() const { return *at<Group>(geometry_.group_offset); }
    EventRing group_ring() const;
    DirectoryEntry& entry(unsigned index) const;
    SettingEntry& setting(unsigned index) const;
    /// This process is the arbiter, or made the segment: what has one writer is its to write.
    bool is_keeper() const;

    /// The seat after the last worker's.
    unsigned arbiter_seat() const { return geometry_.seat_count - 1; }
    /// Null if there is no such seat.
    Seat* seat(unsigned index) const;
    /// Where the arbiter keeps the crash of that number.
    CrashRecord& kept_crash(std::uint64_t number) const;
    CrashRecord& crash(unsigned seat) const;
    /// kConnectionRecords of them.
    ConnectionRecord* connections(unsigned seat) const;
    EventRing seat_ring(unsigned index) const;
    EventRing seat_actions(unsigned index) const;
    /// `index` < geometry().lane_count; the last one is shared.
    std::byte* lane(unsigned seat, unsigned index) const;
    std::byte* retired_lane(unsigned which) const;
    std::byte* registers(unsigned seat) const;
    std::byte* retired_registers() const;

    /// Zeroes [offset, offset + bytes) and gives its memory back.
    void clear(std::uint64_t offset, std::uint64_t bytes);
    std::uint64_t offset_of(const void* place) const {
        return static_cast<std::uint64_t>(static_cast<const std::byte*>(place) - base_);
    }

private:
    template <class T>
    T* at(std::uint64_t offset) const {
        return reinterpret_cast<T*>(base_ + offset);
    }

    pid_t creator_ = 0;
    int descriptor_ = -1;
    std::byte* base_ = nullptr;
    Geometry geometry_;
};

}  // namespace signalbox::telemetry
