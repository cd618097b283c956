// A named value that says more about an event: {"customer", id}, {"amount", 12.5}, {"cached", true}.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace signalbox {

/// Only refers to its name and text: make it in the call that takes it. The type of the value is kept; an unsigned
/// one beyond 2^63 - 1 becomes a double.
struct Field {
    using Value = std::variant<std::string_view, std::int64_t, double, bool>;

    template <class T>
    requires std::is_arithmetic_v<T> || std::convertible_to<const T&, std::string_view> Field(
        std::string_view field_name, const T& field_value)
    noexcept : name(field_name), value(value_of(field_value)) {}
    Field(std::string_view field_name, const char* text) noexcept
        : name(field_name), value(text ? std::string_view(text) : std::string_view()) {}
    Field() = default;

    std::string_view name;
    Value value;

private:
    template <class T>
    static Value value_of(const T& given) noexcept {
        if constexpr (std::same_as<T, bool>)
            return given;
        else if constexpr (std::integral<T>)
            return std::in_range<std::int64_t>(+given) ? Value(static_cast<std::int64_t>(given))
                                                       : Value(static_cast<double>(given));
        else if constexpr (std::floating_point<T>)
            return static_cast<double>(given);
        else
            return std::string_view(given);
    }
};

using Fields = std::initializer_list<Field>;

}  // namespace signalbox
