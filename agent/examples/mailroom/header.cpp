#include "agent/examples/mailroom/header.hpp"

#include <algorithm>
#include <optional>

#include "agent/examples/mailroom/encodings.hpp"

namespace mailroom {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// The name in front of the colon; none if the line is not the start of a field. RFC 5322 4.5 allows blanks
/// before the colon.
std::optional<std::string_view> field_name(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const std::string_view before = line.substr(0, colon);
    const std::string_view name = trimmed(before);
    const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 127; });
    if (name.empty() || !printable || name.data() != line.data()) return std::nullopt;
    return name;
}

bool continues_field(std::string_view rest) {
    return !rest.empty() && (rest[0] == ' ' || rest[0] == '\t');
}

/// A double-quoted string from text[0]; `text` then begins behind its closing quote.
std::string take_quoted(std::string_view& text) {
    std::string out;
    std::size_t at = 1;
    for (; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) ++at;
        out += text[at];
    }
    text.remove_prefix(std::min(at + 1, text.size()));
    return out;
}

std::string take_parameter_value(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    if (!text.empty() && text[0] == '"') return take_quoted(text);
    const std::string_view token = text.substr(0, text.find(';'));
    text.remove_prefix(token.size());
    return std::string(trimmed(token));
}

}  // namespace

std::string_view take_line(std::string_view& rest) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
}

const Field* Header::find(std::string_view name) const {
    const auto found = std::find_if(fields.begin(), fields.end(),
                                    [&](const Field& f) { return equal_ignoring_case(f.name, name); });
    return found == fields.end() ? nullptr : &*found;
}

Header parse_header(std::string_view bytes, std::size_t max_fields) {
    Header header;
    std::string_view rest = bytes;
    bool too_many = false;
    while (!rest.empty()) {
        const std::string_view before = rest;
        const std::string_view line = take_line(rest);
        if (line.empty()) break;
        const auto name = field_name(line);
        const bool mailbox_line = before.data() == bytes.data() && line.starts_with("From ");
        if (!name && !mailbox_line) {
            header.defects.push_back(header.fields.empty() ? Defect::no_header
                                                           : Defect::header_ends_abruptly);
            rest = before;
            break;
        }
        std::string value(name ? line.substr(line.find(':') + 1) : std::string_view{});
        while (continues_field(rest))
            value += take_line(rest);
        if (!name) continue;
        if (header.fields.size() < max_fields)
            header.fields.push_back({std::string(*name), decode_encoded_words(trimmed(value))});
        else
            too_many = true;
    }
    if (too_many) header.defects.push_back(Defect::too_many_fields);
    header.body = rest;
    return header;
}

std::string_view ParameterizedValue::parameter(std::string_view name) const {
    for (const auto& [key, text] : parameters)
        if (key == name) return text;
    return {};
}

ParameterizedValue parse_parameterized(std::string_view text) {
    constexpr std::size_t kMaxParameters = 32;
    ParameterizedValue result;
    const std::string_view value = text.substr(0, text.find(';'));
    result.value = lower_case(trimmed(value));
    text.remove_prefix(value.size());
    while (!text.empty() && result.parameters.size() < kMaxParameters) {
        const std::size_t stop =
            text.find_first_of("=;", 1);  // text[0] is the ';' before the parameter, or rubbish
        if (stop == std::string_view::npos) break;
        const bool has_value = text[stop] == '=';
        std::string name = lower_case(trimmed(text.substr(1, stop - 1)));
        text.remove_prefix(stop + (has_value ? 1 : 0));
        if (!has_value) continue;
        std::string parameter = take_parameter_value(text);
        text.remove_prefix(std::min(text.find(';'), text.size()));
        if (!name.empty()) result.parameters.emplace_back(std::move(name), std::move(parameter));
    }
    return result;
}

}  // namespace mailroom
