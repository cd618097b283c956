// What happened: an event, or a step in the life of an action. Made in a process' event log, kept in the rings of
// the segment, sent to consoles, written by log sinks: the same value everywhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace signalbox::wire {

/// Wall-clock instants cross the wire; ages and lengths are durations. Both in nanoseconds.
using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;
using std::chrono::nanoseconds;

enum class Severity : std::uint8_t { debug = 1, info = 2, warning = 3, error = 4 };

enum class EventKind : std::uint8_t {
    event = 0,      ///< something happened, at one instant
    begin = 1,      ///< an action has begun
    success = 2,    ///< an action ended, and well
    failure = 3,    ///< an action ended; `text` says why it did not succeed
    exception = 4,  ///< an action ended with an exception; `text` is the exception's, if known
};

/// A named value of an event; its type is kept.
struct Field {
    std::string name;
    std::variant<std::string, std::int64_t, double, bool> value;
    friend bool operator==(const Field&, const Field&) = default;
};

struct Event {
    static constexpr std::uint32_t kGroup = UINT32_MAX;

    std::uint64_t sequence = 0;  ///< ascending within one agent's life, over all sources
    WallTime time{};             ///< of an action's end, where it has ended
    Severity severity = Severity::info;
    std::uint32_t slot = kGroup;  ///< the worker's, or kGroup: the arbiter says it
    std::uint64_t generation = 0;
    std::uint32_t pid = 0;
    std::string name{};  ///< snake_case, e.g. "worker_ready"
    std::string text{};  ///< one readable sentence. May carry text from outside: escape it
    EventKind kind = EventKind::event;
    nanoseconds duration{0};      ///< of an action that has ended
    std::vector<Field> fields{};  ///< names and values may carry text from outside: escape them
    bool cut = false;             ///< the text, or fields, did not all fit the record
    friend bool operator==(const Event&, const Event&) = default;
};

struct Events {
    std::uint64_t lost = 0;  ///< overwritten in the rings before the agent read them
    std::vector<Event> events;
    friend bool operator==(const Events&, const Events&) = default;
};

}  // namespace signalbox::wire
