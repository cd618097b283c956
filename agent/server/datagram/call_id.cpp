#include <algorithm>

#include "signalbox/datagram.hpp"

namespace signalbox {

namespace {

constexpr std::string_view kSpace = " \t";

bool same_name(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

}  // namespace

std::string_view sip_call_id(std::span<const std::byte> message) {
    std::string_view rest(reinterpret_cast<const char*>(message.data()), message.size());
    for (bool start_line = true; !rest.empty(); start_line = false) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (start_line) continue;
        if (line.empty()) break;  // the body may say anything
        const std::size_t colon = line.find(':');
        if (colon == line.npos) continue;
        const std::string_view name = trimmed(line.substr(0, colon));
        if (!same_name(name, "call-id") && !same_name(name, "i")) continue;
        std::string_view value = trimmed(line.substr(colon + 1));
        // A value may go on in the next line, if that begins with white space (section 7.3.1).
        if (value.empty() && !rest.empty() && kSpace.find(rest.front()) != kSpace.npos) {
            value = rest.substr(0, std::min(rest.find('\n'), rest.size()));
            if (value.ends_with('\r')) value.remove_suffix(1);
            value = trimmed(value);
        }
        return value;
    }
    return {};
}

}  // namespace signalbox
