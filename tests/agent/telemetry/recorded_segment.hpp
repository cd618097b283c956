// A small segment with everything in it: instruments of all kinds, workers that live, drain and have departed, queues,
// activities, connections, crashes and events. Made the same every time.
#pragma once

#include <cstdint>

#include "agent/telemetry/segment.hpp"
#include "signalbox/telemetry.hpp"

namespace signalbox::tests {

/// What the recorded worker in seat `seat` (kSeats) has counted; the departed one counted kDepartedLetters.
constexpr std::uint64_t letters_of(unsigned seat) {
    return 1000 * (seat + 1);
}
constexpr unsigned kRecordedSeats[] = {0, 2, 4};
constexpr std::uint64_t kDepartedLetters = 77;

/// How much of everything there is.
struct RecordedAmount {
    unsigned workers = 3;          ///< in the first of kRecordedSeats; at least 2
    int events = 300;              ///< told by each worker; by default more than its ring holds
    bool values_far_apart = true;  ///< distributions use buckets over many octaves, which take long to read
};

class RecordedSegment {
public:
    /// In the file `path`, or anonymous.
    explicit RecordedSegment(const std::string& path = {}, const RecordedAmount& amount = {});

    Telemetry& telemetry() { return telemetry_; }
    telemetry::Segment& segment() { return telemetry_.segment(); }
    std::uint8_t* bytes() { return reinterpret_cast<std::uint8_t*>(&segment().header()); }
    std::uint64_t size() { return segment().geometry().total_bytes; }

private:
    void describe_group();
    void record(unsigned seat, std::uint64_t generation, std::uint64_t letters);
    /// Connections that are open for good, and how a worker crashed that was not reaped.
    void open_connections(unsigned seat);
    void crash(unsigned seat, std::uint64_t generation);

    Telemetry telemetry_;
    RecordedAmount amount_;
};

}  // namespace signalbox::tests
