// When a worker has had enough: limits beyond which it is replaced although nothing is wrong with it yet.
//
//     if (const auto breach = find_breach(limits, vitals)) say(breach->event, breach->text);
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "signalbox/context.hpp"

namespace signalbox::supervisor {

/// 0: no limit. The group's settings are called worker_memory_limit, worker_open_files_limit and so on.
struct Limits {
    Tunable<Bytes> memory{Bytes{0}};      ///< resident
    Tunable<std::int64_t> open_files{0};  ///< descriptors
    Tunable<std::int64_t> requests{0};    ///< answered; each worker's own is up to a tenth higher
    Tunable<std::chrono::seconds> age{std::chrono::seconds(0)};  ///< likewise
    /// An event loop that is later than this kLateTurns times within a minute.
    Tunable<std::chrono::milliseconds> lag{std::chrono::milliseconds(0)};
};

/// So many late turns make a loop one that lags.
inline constexpr unsigned kLateTurns = 10;

/// When an event loop was late the last times.
class LateTurns {
public:
    /// The loop that turned at `beat` for the last time is late; the same beat counts once.
    void note(std::uint64_t beat, std::uint64_t now) {
        if (beat == last_beat_) return;
        last_beat_ = beat;
        times_[next_++ % kLateTurns] = now;
    }
    /// How often within the minute before `now`; at most kLateTurns.
    unsigned recent(std::uint64_t now) const;

private:
    std::array<std::uint64_t, kLateTurns> times_{};  ///< CLOCK_MONOTONIC ns; 0: none
    unsigned next_ = 0;
    std::uint64_t last_beat_ = 0;
};

struct Vitals {
    std::uint64_t resident_bytes = 0;
    std::uint64_t open_files = 0;
    std::uint64_t requests = 0;
    std::chrono::seconds age{0};
    unsigned late_turns = 0;
    double jitter = 0;  ///< 0 … 1, the worker's own
};

struct Breach {
    std::string_view event;    ///< "request_limit"
    std::string_view setting;  ///< whose value would have to be higher
    std::string text;          ///< "10,007 requests, limit 10,000"
    /// A successor may be beyond it as soon as it has started, so that replacing may not help.
    bool may_stay;
};

/// The first limit that is passed, if any is.
std::optional<Breach> find_breach(const Limits& limits, const Vitals& vitals);

}  // namespace signalbox::supervisor
