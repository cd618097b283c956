// What registering in an append-only table of the segment takes, whatever its entries are.
#pragma once

#include <fmt/format.h>
#include <sched.h>

#include <cstring>
#include <source_location>
#include <string>
#include <string_view>

#include "agent/telemetry/layout.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::telemetry {

/// A field of text, which need not end.
template <std::size_t N>
std::string_view field(const char (&text)[N]) {
    return {text, ::strnlen(text, N)};
}

/// Another process is writing the entry: waits for it, but not for one that died there.
inline bool becomes_ready(const AtomicHalf& state) {
    const std::uint64_t deadline = monotonic_ns() + 100'000'000;
    while (state.load(std::memory_order_acquire) == static_cast<std::uint32_t>(EntryState::claimed)) {
        if (monotonic_ns() > deadline) return false;
        sched_yield();
    }
    return true;
}

/// "file.cpp:12", or the end of it, in fewer than `room` bytes.
inline std::string place_of(const std::source_location& location, std::size_t room) {
    std::string_view file = location.file_name();
    file.remove_prefix(std::min(file.size(), file.rfind('/') + 1));
    std::string place = fmt::format("{}:{}", file, location.line());
    return place.size() < room ? place : place.substr(place.size() - room + 1);
}

}  // namespace signalbox::telemetry
