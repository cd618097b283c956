#include "common/wire/readable.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "common/wire/utf8.hpp"

namespace signalbox::wire {
namespace {

std::uint32_t code_point(std::string_view sequence) {
    if (sequence.size() == 1) return static_cast<unsigned char>(sequence[0]);
    auto value =
        static_cast<std::uint32_t>(static_cast<unsigned char>(sequence[0]) & (0x7f >> sequence.size()));
    for (const char next : sequence.substr(1))
        value = value << 6 | (static_cast<unsigned char>(next) & 0x3f);
    return value;
}

/// Characters that move the cursor, change colours or reorder what was written before them.
bool is_harmful(std::uint32_t character) {
    const bool control = character < 0x20 || (character >= 0x7f && character < 0xa0);
    const bool line = character == 0x2028 || character == 0x2029;
    const bool direction = character == 0x61c || character == 0x200e || character == 0x200f ||
                           (character >= 0x202a && character <= 0x202e) ||
                           (character >= 0x2066 && character <= 0x2069);
    return control || line || direction;
}

std::string escape_of(std::uint32_t character) {
    switch (character) {
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return "\\t";
        default:
            return character < 0x100 ? fmt::format("\\x{:02x}", character)
                                     : fmt::format("\\u{:04x}", character);
    }
}

/// Three significant digits, as far as they are after the point: 1.5, 12.3, 512.
std::string short_number(double value) {
    std::string text = value < 99.95 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
    if (text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
}

/// As it is, or in quotes if it would not stand out from what is around it.
std::string quoted_if_needed(const std::string& text) {
    if (!text.empty() && text.find_first_of(" \t\n\"'(),=") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

std::string value_in_words(const Field& field) {
    if (const auto* text = std::get_if<std::string>(&field.value)) return quoted_if_needed(*text);
    if (const auto* integer = std::get_if<std::int64_t>(&field.value)) return fmt::format("{}", *integer);
    if (const auto* real = std::get_if<double>(&field.value)) return fmt::format("{}", *real);
    return std::get<bool>(field.value) ? "true" : "false";
}

/// " (customer=c17, amount=12.5)", or nothing.
std::string fields_in_words(const Event& event) {
    std::string list;
    for (const Field& field : event.fields)
        list += fmt::format("{}{}={}", list.empty() ? "" : ", ", field.name, value_in_words(field));
    if (event.cut) list += list.empty() ? "…" : ", …";
    return list.empty() ? list : " (" + list + ')';
}

std::string happening_in_words(const Event& event) {
    const auto ended = [&event](const char* how) {
        return fmt::format("{} {} after {}{}{}", event.name, how, duration_in_words(event.duration),
                           event.text.empty() ? "" : ": ", event.text);
    };
    switch (event.kind) {
        case EventKind::event:
            break;
        case EventKind::begin:
            return event.name + " begins";
        case EventKind::success:
            return ended("succeeded");
        case EventKind::failure:
            return ended("failed");
        case EventKind::exception:
            return ended("ended with an exception");
    }
    return event.text;
}

}  // namespace

std::string escaped(std::string_view text) {
    std::string safe;
    while (!text.empty()) {
        const std::size_t length = wire::utf8_sequence_length(text);
        const std::string_view sequence = text.substr(0, std::max<std::size_t>(length, 1));
        text.remove_prefix(sequence.size());
        if (length == 0) {
            safe += escape_of(static_cast<unsigned char>(sequence[0]));
        } else if (const std::uint32_t character = code_point(sequence); is_harmful(character)) {
            safe += escape_of(character);
        } else {
            safe += sequence;
        }
    }
    return safe;
}

std::string bytes_in_words(double bytes) {
    constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    std::size_t unit = 0;
    for (; bytes >= 1023.5 && unit + 1 < kUnits.size(); ++unit)
        bytes /= 1024;
    return short_number(bytes) + ' ' + kUnits[unit];
}

std::string duration_in_words(std::chrono::nanoseconds length) {
    using namespace std::chrono;
    if (length < nanoseconds::zero()) return '-' + duration_in_words(-std::max(length, -nanoseconds::max()));
    const double seconds = duration<double>(length).count();
    if (seconds < 0.9995e-3) return short_number(seconds * 1e6) + " µs";
    if (seconds < 0.9995) return short_number(seconds * 1e3) + " ms";
    if (seconds < 59.95) return short_number(seconds) + " s";
    const auto whole = static_cast<std::int64_t>(seconds + 0.5);
    const auto two = [whole](std::int64_t large, const char* large_unit, std::int64_t small,
                             const char* small_unit) {
        std::string text = fmt::format("{} {}", whole / large, large_unit);
        if (const std::int64_t rest = whole % large / small; rest > 0)
            text += fmt::format(" {} {}", rest, small_unit);
        return text;
    };
    if (whole < 3600) return two(60, "min", 1, "s");
    if (whole < 86400) return two(3600, "h", 60, "min");
    return two(86400, "d", 3600, "h");
}

std::string time_text(WallTime time, int digits) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    std::int64_t fraction = (time - whole).count();
    for (int dropped = digits; dropped < 9; ++dropped)
        fraction /= 10;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:0{}}Z",
                       fmt::gmtime(static_cast<std::time_t>(whole.time_since_epoch().count())), fraction,
                       digits);
}

std::string_view severity_name(Severity severity) {
    switch (severity) {
        case Severity::debug:
            return "debug";
        case Severity::info:
            return "info";
        case Severity::warning:
            return "warning";
        case Severity::error:
            break;
    }
    return "error";
}

std::string event_in_words(const Event& event) {
    std::string words = happening_in_words(event) + fields_in_words(event);
    if (words.starts_with(' ')) words.erase(0, 1);
    return words;
}

}  // namespace signalbox::wire
