// What registering in an append-only table of the segment takes, whatever its entries are.
#pragma once

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
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

/// Whose an entry is, for who wants to register: given_up means a claimant that died.
enum class Place { ours, others, given_up };

/// Claims the entry if it is vacant. While another one writes it, waits until it is ready, or vacant again for
/// lack of room: going on to the next one would leave a hole, where readers take the directory to end. Does
/// not wait for one who died there.
inline Place claim_or_wait(AtomicHalf& place) {
    constexpr auto vacant = static_cast<std::uint32_t>(EntryState::vacant);
    constexpr auto claimed = static_cast<std::uint32_t>(EntryState::claimed);
    std::uint64_t deadline = 0;
    for (;;) {
        std::uint32_t state = place.load(std::memory_order_acquire);
        if (state == vacant && place.compare_exchange_strong(state, claimed)) return Place::ours;
        if (state != claimed) return Place::others;
        const std::uint64_t now = monotonic_ns();
        if (deadline == 0) deadline = now + 100'000'000;
        if (now > deadline) return Place::given_up;
        sched_yield();
    }
}

/// "file.cpp:12", or the end of it, in fewer than `room` bytes.
inline std::string place_of(const std::source_location& location, std::size_t room) {
    std::string_view file = location.file_name();
    file.remove_prefix(std::min(file.size(), file.rfind('/') + 1));
    std::string place = fmt::format("{}:{}", file, location.line());
    return place.size() < room ? place : place.substr(place.size() - room + 1);
}

}  // namespace signalbox::telemetry
