#include "agent/server/preconditions.hpp"

#include <algorithm>

#include "agent/server/field_list.hpp"
#include "agent/server/http_date.hpp"

namespace signalbox::server {

namespace {

enum class Comparison { strong, weak };

/// Takes `W/"..."` or `"..."` off the front; empty if there is none. A tag may hold a comma.
std::string_view take_tag(std::string_view& rest) {
    const std::size_t open = rest.starts_with("W/") ? 2 : 0;
    const std::size_t close =
        rest.size() > open && rest[open] == '"' ? rest.find('"', open + 1) : std::string_view::npos;
    if (close == rest.npos) return {};
    const std::string_view tag = rest.substr(0, close + 1);
    rest.remove_prefix(tag.size());
    return tag;
}

/// Section 8.8.3.2, for a current tag that is strong.
bool same_tag(std::string_view tag, std::string_view current, Comparison how) {
    if (how == Comparison::weak && tag.starts_with("W/")) tag.remove_prefix(2);
    return tag == current;
}

/// Whether one of a list of tags, in any number of fields, is the current one, or "*".
bool names_current(const Headers& request, std::string_view field_name, std::string_view current,
                   Comparison how) {
    for (const Headers::Field& field : request) {
        if (!same_word(field.name, field_name)) continue;
        std::string_view rest = without_blanks(field.value);
        if (rest == "*") return true;
        while (!rest.empty()) {
            const std::string_view tag = take_tag(rest);
            if (!tag.empty() && same_tag(tag, current, how)) return true;
            rest.remove_prefix(std::min(rest.find(','), rest.size()));
            rest.remove_prefix(std::min(rest.find_first_not_of(", \t"), rest.size()));
        }
    }
    return false;
}

std::optional<std::time_t> date_in(const Headers& request, std::string_view field_name) {
    const auto field = request.find(field_name);
    return field ? parse_http_date(*field) : std::nullopt;
}

}  // namespace

Verdict check_preconditions(const Headers& request, const Validators& current) {
    if (request.has("If-Match")) {
        if (!names_current(request, "if-match", current.tag, Comparison::strong)) return Verdict::failed;
    } else if (const auto since = date_in(request, "If-Unmodified-Since")) {
        if (current.modified > *since) return Verdict::failed;
    }
    if (request.has("If-None-Match"))
        return names_current(request, "if-none-match", current.tag, Comparison::weak) ? Verdict::not_modified
                                                                                      : Verdict::proceed;
    const auto since = date_in(request, "If-Modified-Since");
    return since && current.modified <= *since ? Verdict::not_modified : Verdict::proceed;
}

bool range_counts(const Headers& request, const Validators& current) {
    const auto condition = request.find("If-Range");
    if (!condition) return true;
    if (condition->find('"') != condition->npos) return *condition == current.tag;
    return parse_http_date(*condition) == current.modified;
}

}  // namespace signalbox::server
