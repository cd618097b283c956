// How many different ones: clients, sessions, senders, queries.
//
//     signalbox::Distinct clients(telemetry, "clients", "Addresses that connected");
//     clients.add(address);
//
// Kept as UltraLogLog registers (common/sketch/ultra_log_log.hpp): some 60 KiB whatever the number, with a
// standard error of 1.2 %. The same element counts once, whichever workers it was given to, and workers come
// and go without loss. Three figures: since the group's start, in the last hour and in the last minute (more
// exactly in 60 to 70 minutes, or seconds, so that they need not be recorded one by one); the windows move
// with Telemetry::refresh().
#pragma once

#include <cstdint>
#include <source_location>
#include <string_view>

#include "signalbox/telemetry.hpp"

namespace signalbox {

class Distinct {
public:
    /// `precision` 8 … 16: 2^precision registers in each of 15 slices. The error is 0.76 / 2^(precision / 2).
    /// Throws as Counter does, and std::invalid_argument for another precision.
    Distinct(Telemetry& telemetry, std::string_view name, std::string_view help, unsigned precision = 12,
             const Labels& labels = {}, std::source_location where = std::source_location::current());

    /// Any bytes. Any thread; without a lock, in a few nanoseconds (`./dev bench distinct`).
    void add(std::string_view element) noexcept;

private:
    std::uint32_t block_offset_;
    std::uint32_t precision_;
};

}  // namespace signalbox
