// For people: quantities in words, what happened in a sentence, and text from outside that cannot harm a terminal.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "common/wire/event.hpp"

namespace signalbox::wire {

/// Control characters, bidirectional overrides and bytes that are not UTF-8 become escapes like \n, \x1b or
/// \u202e.
std::string escaped(std::string_view text);

/// "512 B", "1.5 KiB", "96 MiB"
std::string bytes_in_words(double bytes);

/// "250 µs", "12 ms", "1.5 s", "3 min 4 s", "2 h 5 min", "4 d 3 h"
std::string duration_in_words(std::chrono::nanoseconds length);

/// As JSON, charts and tables have it.
inline double seconds(std::chrono::nanoseconds length) {
    return std::chrono::duration<double>(length).count();
}

/// "2026-07-07T09:30:00.250Z": RFC 3339, UTC, with so many digits (3 … 9) after the second.
std::string time_text(WallTime time, int digits = 3);

/// "debug", "info", "warning", "error"
std::string_view severity_name(Severity severity);

/// An event's text, of an action how it ended and after how long, and the fields; not escaped:
///
///     Read 12 rules. (path=/etc/rules, rules=12)
///     charge failed after 12.3 ms: declined (customer=c17, amount=12.5, card="visa gold")
std::string event_in_words(const Event& event);

}  // namespace signalbox::wire
