// One row of the table of settings: a name, what it means, its range, and the member of an options structure that holds
// it. The configuration file, the command line, the Context and the help texts all go by these rows.
//
//     const auto workers = setting<GroupOptions>("workers", {.help = "Worker processes", .min = "1"}, &GroupOptions::workers);
//     workers.set(options, parse(workers, "4"));   // throws: "workers: '0' is below its minimum of 1"
//     format(workers, *workers.get(options));      // "4"
//
// A member may lie in a structure within the options, which may be optional: setting one makes the structure.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "signalbox/detail/tunable.hpp"

namespace signalbox::configuration {

enum class Kind {
    word,     ///< true, 4, 0.5, 250ms, 512MiB: what a tunable can be
    text,     ///< "/run/hello.sock"
    list,     ///< of texts
    choice,   ///< one of a few texts
    section,  ///< whether an optional structure is there: true or false
};

/// When a new value holds.
enum class Takes {
    at_once,           ///< a tunable, or the number of workers
    with_new_workers,  ///< a worker reads it when it starts
    at_restart,
};

using Value = std::variant<std::uint64_t, std::string, std::vector<std::string>>;

/// All that is said of a setting besides where it is kept.
struct Details {
    std::string_view help{};  ///< up to 135 bytes, without a full stop
    std::string_view unit{};  ///< of a plain number: "files"
    std::string_view min{};   ///< as people write it; "": of durations and sizes zero, else the type's
    std::string_view max{};
    Takes takes = Takes::at_restart;
    std::string_view also{};                  ///< another name on the command line: "agent"
    std::vector<std::string_view> choices{};  ///< in the order of the enumeration
};

struct Row {
    Row(std::string full_name, const Details& details);

    std::string name;  ///< "worker_age_limit", "tls.certificate"
    std::string help;
    std::string unit;
    std::string also;
    Takes takes;
    Kind kind = Kind::word;
    detail::SettingType type = detail::SettingType::text;  ///< of a word
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    std::uint64_t step = 1;
    std::vector<std::string> choices;

    /// Narrows the range of the type to what the details say.
    void narrow(const Details& details);
};

/// Throws std::invalid_argument that names the setting, the text and the way out.
Value parse(const Row& row, const std::string& text);
/// As people write it; lists with ", " between.
std::string format(const Row& row, const Value& value);
/// "(512MiB)", for help texts: what is to be written.
std::string_view placeholder(const Row& row);
/// "tls_certificate": as the Context calls it.
std::string context_name(std::string name);

namespace path {

template <class T>
struct Optional : std::false_type {};
template <class T>
struct Optional<std::optional<T>> : std::true_type {};

template <class T>
const T* present(const T& value) {
    return &value;
}
template <class T>
const T* present(const std::optional<T>& value) {
    return value ? &*value : nullptr;
}
template <class T>
T& made(T& value) {
    return value;
}
template <class T>
T& made(std::optional<T>& value) {
    if (!value) value.emplace();
    return *value;
}

template <class Object, class Member>
const Member* find(const Object& object, Member Object::*member) {
    return &(object.*member);
}
template <class Object, class Member, class Next, class... Rest>
auto find(const Object& object, Member Object::*member, Next next, Rest... rest) {
    const auto* inner = present(object.*member);
    return inner ? find(*inner, next, rest...) : nullptr;
}
template <class Object, class Member>
Member& make(Object& object, Member Object::*member) {
    return object.*member;
}
template <class Object, class Member, class Next, class... Rest>
auto& make(Object& object, Member Object::*member, Next next, Rest... rest) {
    return make(made(object.*member), next, rest...);
}

}  // namespace path

template <class T>
Value to_value(const Row& row, const T& value) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>>)
        return value;
    else if constexpr (path::Optional<T>::value)
        return std::uint64_t{value.has_value()};
    else if constexpr (std::is_enum_v<T> && !std::is_same_v<T, Bytes>)
        return row.choices.at(static_cast<std::size_t>(value));
    else if constexpr (std::integral<T> && !std::is_same_v<T, bool>)
        return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
    else
        return signalbox::detail::TunableCoding<T>::encode(value);
}

template <class T>
void from_value(const Row& row, T& target, const Value& value) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>>) {
        target = std::get<T>(value);
    } else if constexpr (path::Optional<T>::value) {
        if (std::get<std::uint64_t>(value) == 0)
            target.reset();
        else
            path::made(target);
    } else if constexpr (std::is_enum_v<T> && !std::is_same_v<T, Bytes>) {
        for (std::size_t i = 0; i < row.choices.size(); ++i)
            if (row.choices[i] == std::get<std::string>(value)) target = static_cast<T>(i);
    } else if constexpr (std::integral<T> && !std::is_same_v<T, bool>) {
        target = static_cast<T>(static_cast<std::int64_t>(std::get<std::uint64_t>(value)));
    } else {
        target = signalbox::detail::TunableCoding<T>::decode(std::get<std::uint64_t>(value));
    }
}

/// What the type of the member says about the row.
template <class T>
void describe(Row& row) {
    using signalbox::detail::SettingType;
    if constexpr (std::is_same_v<T, std::string>) {
        row.kind = Kind::text;
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
        row.kind = Kind::list;
    } else if constexpr (path::Optional<T>::value) {
        row.kind = Kind::section;
        row.type = SettingType::boolean;
        row.max = 1;
    } else if constexpr (std::is_enum_v<T> && !std::is_same_v<T, Bytes>) {
        row.kind = Kind::choice;
    } else if constexpr (std::integral<T> && !std::is_same_v<T, bool>) {
        using Limits = std::numeric_limits<T>;
        row.type = SettingType::integer;
        row.min = static_cast<std::uint64_t>(static_cast<std::int64_t>(Limits::min()));
        row.max = std::min(static_cast<std::uint64_t>(Limits::max()), static_cast<std::uint64_t>(INT64_MAX));
    } else {
        using Coding = signalbox::detail::TunableCoding<T>;
        row.type = Coding::kType;
        row.min = Coding::encode(Coding::kDefaultMin);
        row.max = Coding::encode(Coding::kHighest);
        row.step = Coding::kStep;
    }
}

template <class Options>
struct Setting : Row {
    using Row::Row;
    /// Nothing if the structure that it lies in is not there.
    std::function<std::optional<Value>(const Options&)> get;
    std::function<void(Options&, const Value&)> set;
};

template <class Options, class... Members>
Setting<Options> setting(std::string name, const Details& details, Members... members) {
    using T = std::remove_cvref_t<decltype(*path::find(std::declval<const Options&>(), members...))>;
    Setting<Options> made(std::move(name), details);
    describe<T>(made);
    made.narrow(details);
    const Row row = made;
    made.get = [row, members...](const Options& options) -> std::optional<Value> {
        const T* member = path::find(options, members...);
        if (!member) return {};
        return to_value(row, *member);
    };
    made.set = [row, members...](Options& options, const Value& value) {
        from_value(row, path::make(options, members...), value);
    };
    return made;
}

}  // namespace signalbox::configuration
