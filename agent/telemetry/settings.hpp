// The table of facts, settings and tunables in the segment. Append-only; any process of the group may register,
// without a lock. A value has one writer: the arbiter (see Segment::is_keeper), under a sequence number.
//
//     const Change change = change_tunable(segment, index, SettingType::duration, word, "operator alice");
//     if (!change.refusal.empty()) ...
#pragma once

#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>

#include "agent/telemetry/segment.hpp"
#include "signalbox/detail/tunable.hpp"

namespace signalbox::telemetry {

struct SettingDescription {
    SettingKind kind{};
    detail::SettingType type = detail::SettingType::text;
    Role role = Role::operator_;
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    std::uint64_t step = 1;
    std::uint64_t word = 0;
    std::string_view name{};  ///< printable ASCII, up to 63 bytes
    std::string_view unit{};
    std::string_view help{};
    std::string_view text{};  ///< beyond kSettingTextBytes it is cut
    std::string_view origin{};
    std::source_location defined_at = std::source_location::current();
};

/// Finds the entry of that name or appends it. One that is there gets the new text and origin if it is no
/// tunable and this process may write it. Throws std::invalid_argument (bad name; registered already as
/// something else, and where) or std::length_error (table full).
SettingEntry& register_setting(Segment& segment, const SettingDescription& description);

/// What may be rewritten, read as one.
struct SettingValue {
    std::string text;
    std::string origin;
    std::uint64_t word = 0;
    std::uint64_t version = 0;
};

/// An entry as a reader takes it: copied and checked.
struct Setting {
    std::uint32_t index = 0;
    SettingKind kind{};
    detail::SettingType type{};
    Role role{};
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    std::uint64_t step = 1;
    std::string name;
    std::string unit;
    std::string help;
    std::string defined_at;
    /// Nothing if its writer is in the middle of it (also for good, if it died there).
    std::optional<SettingValue> value;
};

/// Nothing if the entry is not ready or makes no sense.
std::optional<Setting> read_setting(const SettingEntry& entry, std::uint32_t index);

/// Why the tunable may not have this value, or "". `said` is how whoever wants it wrote it.
/// "slow_request_threshold: '5m' is above its maximum of 60s"
std::string refusal_of(const Setting& setting, std::uint64_t word, std::string_view said);

struct Change {
    std::string refusal;  ///< why not; "": it is done
    std::string name;
    std::string from;
    std::string to;
};

/// The arbiter's: gives a tunable another value, if it is in range, and says whose it is.
Change change_tunable(Segment& segment, std::uint32_t index, detail::SettingType type, std::uint64_t word,
                      std::string_view origin);

/// The arbiter's: a setting of that name, if there is one, has become something else in another way than
/// through change_tunable().
void note_setting(Segment& segment, std::string_view name, std::string_view text, std::string_view origin);

}  // namespace signalbox::telemetry
