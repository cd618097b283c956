#include "agent/telemetry/setting_values.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>
#include <stdexcept>

namespace signalbox::telemetry {
namespace {

using detail::SettingType;

struct Unit {
    std::string_view name;
    std::uint64_t nanoseconds;
};
constexpr std::array<Unit, 9> kUnits = {{{"ns", 1},
                                         {"us", 1'000},
                                         {"µs", 1'000},
                                         {"ms", 1'000'000},
                                         {"s", 1'000'000'000},
                                         {"min", 60'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"h", 3'600'000'000'000},
                                         {"d", 86'400'000'000'000}}};
constexpr std::uint64_t kMinute = 60'000'000'000;
constexpr std::uint64_t kHour = 60 * kMinute;

std::uint64_t magnitude(std::int64_t nanoseconds) {
    return nanoseconds < 0 ? -static_cast<std::uint64_t>(nanoseconds)
                           : static_cast<std::uint64_t>(nanoseconds);
}

template <class Number>
std::optional<Number> whole_text(std::string_view text) {
    Number number{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end) return {};
    return number;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// In integers throughout: a double has no 0.1 s.
std::optional<std::int64_t> parse_duration(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    if (text.empty() || !is_digit(text.front())) return {};
    std::uint64_t whole = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (error != std::errc()) return {};
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    std::string_view fraction;
    if (text.starts_with('.')) {
        const std::size_t end = std::min(text.find_first_not_of("0123456789", 1), text.size());
        fraction = text.substr(1, end - 1);
        if (fraction.empty()) return {};
        text.remove_prefix(end);
    }
    for (const auto& [name, nanoseconds] : kUnits) {
        if (text != name) continue;
        std::uint64_t total = 0;
        if (__builtin_mul_overflow(whole, nanoseconds, &total)) return {};
        std::uint64_t unit = nanoseconds;
        for (const char digit : fraction) {
            if (unit % 10 != 0 && digit != '0') return {};  // finer than a nanosecond
            unit /= 10;
            if (__builtin_add_overflow(total, unit * static_cast<std::uint64_t>(digit - '0'), &total))
                return {};
        }
        if (total > static_cast<std::uint64_t>(INT64_MAX)) return {};
        return negative ? -static_cast<std::int64_t>(total) : static_cast<std::int64_t>(total);
    }
    return {};
}

/// `number` of a unit's thousandths and finer: "1.5" of 1500 milli-units.
std::string decimal(std::uint64_t nanoseconds, std::uint64_t unit, std::string_view name) {
    std::string text = std::to_string(nanoseconds / unit);
    std::uint64_t rest = nanoseconds % unit;
    if (rest != 0) text += '.';
    while (rest != 0) {
        unit /= 10;
        text += static_cast<char>('0' + rest / unit);
        rest %= unit;
    }
    return text.append(name);
}

std::string format_duration(std::int64_t duration) {
    const std::uint64_t length = magnitude(duration);
    std::string text;
    if (length >= 2 * kHour && length % kHour == 0)
        text = decimal(length, kHour, "h");
    else if (length >= 2 * kMinute && length % kMinute == 0)
        text = decimal(length, kMinute, "min");
    else if (length == 0 || length >= 1'000'000'000)
        text = decimal(length, 1'000'000'000, "s");
    else if (length >= 1'000'000)
        text = decimal(length, 1'000'000, "ms");
    else if (length >= 1'000)
        text = decimal(length, 1'000, "us");
    else
        text = decimal(length, 1, "ns");
    return duration < 0 ? "-" + text : text;
}

[[noreturn]] void refuse(std::string_view text, std::string_view right) {
    throw std::invalid_argument(fmt::format("'{}' is not {}", text, right));
}

}  // namespace

std::uint64_t parse_value(SettingType type, std::string_view text) {
    switch (type) {
        case SettingType::boolean:
            if (text == "true" || text == "on") return 1;
            if (text == "false" || text == "off") return 0;
            refuse(text, "true or false");
        case SettingType::integer:
            if (const auto number = whole_text<std::int64_t>(text))
                return static_cast<std::uint64_t>(*number);
            refuse(text, "a whole number; try '42'");
        case SettingType::real:
            if (const auto number = whole_text<double>(text); number && std::isfinite(*number))
                return std::bit_cast<std::uint64_t>(*number);
            refuse(text, "a number; try '0.75'");
        case SettingType::duration:
            if (const auto duration = parse_duration(text)) return static_cast<std::uint64_t>(*duration);
            refuse(text, "a duration; try '250ms' or '1.5s' (ns, us, ms, s, min, h and d are known)");
        case SettingType::bytes:
            return static_cast<std::uint64_t>(parse_bytes(text));
        case SettingType::text:
            break;
    }
    refuse(text, "a value that can be changed");
}

std::string format_value(SettingType type, std::uint64_t word) {
    switch (type) {
        case SettingType::boolean:
            return word != 0 ? "true" : "false";
        case SettingType::integer:
            return std::to_string(static_cast<std::int64_t>(word));
        case SettingType::real:
            return fmt::format("{}", std::bit_cast<double>(word));
        case SettingType::duration:
            return format_duration(static_cast<std::int64_t>(word));
        case SettingType::bytes:
            return format_bytes(Bytes{word});
        case SettingType::text:
            break;
    }
    return {};
}

bool is_value(SettingType type, std::uint64_t word) {
    if (type == SettingType::boolean) return word <= 1;
    if (type == SettingType::real) return std::isfinite(std::bit_cast<double>(word));
    return true;
}

bool is_less(SettingType type, std::uint64_t a, std::uint64_t b) {
    switch (type) {
        case SettingType::real:
            return std::bit_cast<double>(a) < std::bit_cast<double>(b);
        case SettingType::integer:
        case SettingType::duration:
            return static_cast<std::int64_t>(a) < static_cast<std::int64_t>(b);
        default:
            return a < b;
    }
}

std::string_view type_name(SettingType type) {
    switch (type) {
        case SettingType::boolean:
            return "boolean";
        case SettingType::integer:
            return "integer";
        case SettingType::real:
            return "real";
        case SettingType::duration:
            return "duration";
        case SettingType::bytes:
            return "bytes";
        case SettingType::text:
            break;
    }
    return "text";
}

}  // namespace signalbox::telemetry
