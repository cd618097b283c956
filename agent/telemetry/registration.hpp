// What registering in an append-only table of the segment takes, whatever its entries are.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <string>
#include <string_view>

#include "agent/telemetry/layout.hpp"

namespace signalbox::telemetry {

/// A field of text, which need not end.
template <std::size_t N>
std::string_view field(const char (&text)[N]) {
    return {text, ::strnlen(text, N)};
}

/// A claim on an entry, so that one process writes it. It names its claimant:
///
///     Claim claim(entry.state);
///     if (claim) {                            // the entry was vacant and is ours
///         entry.kind = …;
///         if (claim.publish()) return entry;  // else others went on without us: try the next entry
///     }
///
/// Any thread of any process of the group; pids must mean the same to all of them.
class Claim {
public:
    /// Claims the entry if it is vacant. While another one writes it, waits until it is ready, or vacant again:
    /// going on to the next entry would leave a hole, where readers take the table to end. One whose claimant is
    /// dead, or has not come to an end for 100 ms (it was stopped there), is abandoned: nobody waits for it again.
    explicit Claim(AtomicWord& state);

    /// Ours to write.
    explicit operator bool() const { return word_ != 0; }

    /// The entry is complete. False: we took so long that it was abandoned, and what was written is lost.
    bool publish() { return leave(EntryState::ready); }
    /// The entry is vacant again; it must be zeroed but for its state.
    void give_back() { leave(EntryState::vacant); }

    /// The word of an entry that this process claims.
    static std::uint64_t of_this_process();
    /// The process that claimed it has ended, even if another one has its pid by now. False if that cannot be found
    /// out.
    static bool is_of_a_dead_process(std::uint64_t word);

private:
    bool leave(EntryState state);

    AtomicWord& state_;
    std::uint64_t word_ = 0;
};

/// "file.cpp:12", or the end of it, in fewer than `room` bytes.
inline std::string place_of(const std::source_location& location, std::size_t room) {
    std::string_view file = location.file_name();
    file.remove_prefix(std::min(file.size(), file.rfind('/') + 1));
    std::string place = fmt::format("{}:{}", file, location.line());
    return place.size() < room ? place : place.substr(place.size() - room + 1);
}

}  // namespace signalbox::telemetry
