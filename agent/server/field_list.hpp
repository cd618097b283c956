// Lists in fields: members between commas, empty ones left out (RFC 9110, section 5.6.1).
#pragma once

#include <algorithm>
#include <string_view>

namespace signalbox::server {

constexpr std::string_view without_blanks(std::string_view text) {
    const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// Takes the part before the first `separator` off the front, without blanks around it.
constexpr std::string_view take_part(std::string_view& rest, char separator) {
    const std::string_view part = rest.substr(0, rest.find(separator));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    return without_blanks(part);
}

/// Calls `on_member(text)` for each. Commas within quotes are not looked for.
template <class OnMember>
constexpr void for_each_member(std::string_view list, OnMember on_member) {
    while (!list.empty()) {
        const std::string_view member = take_part(list, ',');
        if (!member.empty()) on_member(member);
    }
}

constexpr char lower_case(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

/// Without regard to the case of ASCII letters.
constexpr bool same_word(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                              [](char x, char y) { return lower_case(x) == lower_case(y); });
}

}  // namespace signalbox::server
