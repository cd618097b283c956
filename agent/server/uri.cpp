#include "agent/server/uri.hpp"

#include <algorithm>

namespace signalbox::server {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// The byte that the escape at `at` stands for, or -1.
int escaped_byte(std::string_view text, std::size_t at) {
    if (at + 2 >= text.size()) return -1;
    const int high = hex_digit(text[at + 1]);
    const int low = hex_digit(text[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool begins_with_scheme(std::string_view target) {
    std::string scheme(target.substr(0, 8));
    std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    return scheme.starts_with("http://") || scheme.starts_with("https://");
}

/// What follows the authority of an absolute target; false if the authority is missing or none.
bool strip_authority(std::string_view& target) {
    target.remove_prefix(target.find("//") + 2);
    const std::size_t end = std::min(target.find_first_of("/?"), target.size());
    if (end == 0 || !is_host(target.substr(0, end))) return false;
    target.remove_prefix(end);
    return true;
}

bool has_dot_segment(std::string_view path) {
    return path.find("/.") != path.npos;
}

}  // namespace

bool parse_target(std::string_view method, std::string_view target, std::string& path, std::string& query) {
    const auto forbidden = [](char c) { return c <= ' ' || c >= '\x7f' || c == '#'; };
    if (target.empty() || std::any_of(target.begin(), target.end(), forbidden)) return false;
    if (target == "*") {
        path = "*";
        query.clear();
        return method == "OPTIONS";
    }
    if (begins_with_scheme(target) && !strip_authority(target)) return false;
    if (target.empty() || target.front() == '?') {
        path = "/";
    } else if (target.front() != '/') {
        return false;
    } else if (!decode_percent(target.substr(0, target.find('?')), path)) {
        return false;
    }
    const std::size_t mark = target.find('?');
    query.assign(mark == target.npos ? std::string_view() : target.substr(mark + 1));
    if (has_dot_segment(path)) remove_dot_segments(path);
    return true;
}

std::string_view authority_of(std::string_view target) {
    if (target.empty() || target.front() == '/' || !begins_with_scheme(target)) return {};
    target.remove_prefix(target.find("//") + 2);
    return target.substr(0, target.find_first_of("/?"));
}

bool decode_percent(std::string_view text, std::string& out) {
    std::size_t escape = text.find('%');
    out.assign(text.substr(0, escape));
    while (escape < text.size()) {
        const int byte = escaped_byte(text, escape);
        if (byte <= 0) return false;
        out += static_cast<char>(byte);
        const std::size_t next = std::min(text.find('%', escape + 3), text.size());
        out += text.substr(escape + 3, next - escape - 3);
        escape = next;
    }
    return true;
}

std::string decode_form(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const int byte = text[i] == '%' ? escaped_byte(text, i) : -1;
        if (byte >= 0) {
            out += static_cast<char>(byte);
            i += 2;
        } else {
            out += text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

void remove_dot_segments(std::string& path) {
    std::string out;
    out.reserve(path.size());
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at + 1), path.size());
        const std::string_view segment = std::string_view(path).substr(at, end - at);
        const bool last = end == path.size();
        if (segment == "/..") out.resize(out.empty() ? 0 : out.rfind('/'));
        if (segment != "/.." && segment != "/.")
            out += segment;
        else if (last)
            out += '/';
        at = end;
    }
    path = std::move(out);
}

bool is_host(std::string_view value) {
    return std::all_of(value.begin(), value.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
    });
}

}  // namespace signalbox::server
