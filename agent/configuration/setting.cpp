#include "agent/configuration/setting.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "agent/telemetry/setting_values.hpp"
#include "agent/telemetry/settings.hpp"
#include "common/wire/readable.hpp"

namespace signalbox::configuration {
namespace {

using signalbox::detail::SettingType;

[[noreturn]] void refuse(const Row& row, std::string_view why) {
    throw std::invalid_argument(fmt::format("{}: {}", row.name, why));
}

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string check_text(const Row& row, const std::string& text) {
    if (has_control_character(text))
        refuse(row, fmt::format("'{}' holds a control character; write it without", wire::escaped(text)));
    return text;
}

std::vector<std::string> split(const Row& row, const std::string& text) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    while (begin <= text.size() && !text.empty()) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        std::string part = text.substr(begin, end - begin);
        part.erase(0, part.find_first_not_of(' '));
        part.erase(part.find_last_not_of(' ') + 1);
        parts.push_back(check_text(row, part));
        begin = end + 1;
    }
    return parts;
}

std::uint64_t parse_word(const Row& row, const std::string& text) {
    // A zero needs no unit.
    const bool zero = text == "0" && row.type == SettingType::duration;
    std::uint64_t word = 0;
    try {
        if (!zero) word = telemetry::parse_value(row.type, text);
    } catch (const std::invalid_argument& error) {
        refuse(row, error.what());
    }
    telemetry::Setting setting;
    setting.type = row.type;
    setting.min = row.min;
    setting.max = row.max;
    setting.step = row.step;
    setting.name = row.name;
    const std::string refusal = telemetry::refusal_of(setting, word, text);
    if (!refusal.empty()) throw std::invalid_argument(refusal);
    return word;
}

}  // namespace

Row::Row(std::string full_name, const Details& details)
    : name(std::move(full_name)),
      help(details.help),
      unit(details.unit),
      also(details.also),
      takes(details.takes),
      choices(details.choices.begin(), details.choices.end()) {}

void Row::narrow(const Details& details) {
    if (!details.min.empty()) min = telemetry::parse_value(type, details.min);
    if (!details.max.empty()) max = telemetry::parse_value(type, details.max);
}

Value parse(const Row& row, const std::string& text) {
    // Whatever it is, it comes back in messages.
    if (text.size() > 4096) refuse(row, fmt::format("{} bytes are too long; give at most 4096", text.size()));
    switch (row.kind) {
        case Kind::word:
        case Kind::section:
            if (has_control_character(text)) refuse(row, "holds a control character; write it without");
            return parse_word(row, text);
        case Kind::text:
            return check_text(row, text);
        case Kind::list:
            return split(row, text);
        case Kind::choice:
            break;
    }
    if (std::find(row.choices.begin(), row.choices.end(), text) != row.choices.end()) return text;
    refuse(row, fmt::format("'{}' is none of {}", wire::escaped(text), fmt::join(row.choices, ", ")));
}

std::string format(const Row& row, const Value& value) {
    if (const auto* word = std::get_if<std::uint64_t>(&value))
        return telemetry::format_value(row.type, *word);
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    return fmt::format("{}", fmt::join(std::get<std::vector<std::string>>(value), ", "));
}

std::string_view placeholder(const Row& row) {
    switch (row.kind) {
        case Kind::text:
            return "TEXT";
        case Kind::list:
            return "LIST";
        case Kind::choice:
            return "CHOICE";
        case Kind::section:
        case Kind::word:
            break;
    }
    switch (row.type) {
        case SettingType::duration:
            return "TIME";
        case SettingType::bytes:
            return "SIZE";
        default:
            return "N";
    }
}

std::string context_name(std::string name) {
    std::replace(name.begin(), name.end(), '.', '_');
    return name;
}

}  // namespace signalbox::configuration
