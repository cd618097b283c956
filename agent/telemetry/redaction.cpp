#include "agent/telemetry/redaction.hpp"

#include <algorithm>
#include <array>

namespace signalbox::telemetry {
namespace {

constexpr std::array<std::string_view, 10> kSecretWords = {
    "secret", "token", "password", "passwd", "key", "credential", "auth", "cookie", "session", "private"};
constexpr std::string_view kSpace = " \t\r\n\v\f";

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_word(char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

std::size_t find_end(std::string_view text, std::string_view any_of, std::size_t from) {
    return std::min(text.find_first_of(any_of, from), text.size());
}

/// What "user:password@" or "token@" there is at `start`, which is behind "://" or where a word begins.
/// A password may hold anything, also '/' and '@', though it should not: up to the last '@' before a space.
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;  ///< begin: nothing
};
Span password_at(std::string_view text, std::size_t start, bool in_url) {
    const std::size_t end = find_end(text, " \t\r\n\v\f\"'", start);
    const std::string_view word = text.substr(0, end);
    const std::size_t at = word.rfind('@');
    if (at == std::string_view::npos || at < start) return {};
    const std::size_t colon = word.find(':', start);
    if (colon < at) return {colon + 1, at};
    if (in_url && find_end(word, "@", start) < find_end(word, "/?#", start))
        return {start, word.find('@', start)};
    return {};
}

std::string without_passwords(std::string_view text) {
    std::string clean;
    for (std::size_t i = 0; i < text.size();) {
        const bool in_url = text.substr(i).starts_with("://");
        const bool begins = i == 0 || std::string_view(" \t\r\n\v\f\"'=").find(text[i - 1]) != text.npos;
        Span password;
        if (in_url) {
            password = password_at(text, i + 3, true);
        } else if (begins) {
            // "joe:password@host", but not the "https:" of a URL, which has its own turn.
            std::size_t end = i;
            while (end < text.size() && is_word(text[end]))
                ++end;
            if (text.substr(end).starts_with(':') && !text.substr(end).starts_with("://"))
                password = password_at(text, i, false);
        }
        if (password.end > password.begin) {
            clean.append(text.substr(i, password.begin - i)).append(kRedacted);
            i = password.end;
        } else {
            clean += text[i++];
        }
    }
    return clean;
}

/// The end of the value that begins at `start`: of a quoted one the quote, else what separates.
std::size_t value_end(std::string_view text, std::size_t start) {
    if (start < text.size() && (text[start] == '"' || text[start] == '\''))
        return std::min(find_end(text, text.substr(start, 1), start + 1) + 1, text.size());
    return find_end(text, " \t\r\n\v\f&;,", start);
}

/// "password=abc", "?token=abc&", "Authorization: Bearer abc", "{"password":"abc"".
std::string without_named_secrets(std::string_view text) {
    std::string clean;
    for (std::size_t i = 0; i < text.size();) {
        if (!is_word(text[i])) {
            clean += text[i++];
            continue;
        }
        std::size_t end = i;
        while (end < text.size() && is_word(text[end]))
            ++end;
        const std::string_view name = text.substr(i, end - i);
        clean.append(name);
        i = end;
        if (!is_secret_name(name)) continue;
        std::size_t sign = end;
        while (sign < text.size() &&
               (text[sign] == '"' || text[sign] == '\'' || kSpace.find(text[sign]) != kSpace.npos))
            ++sign;
        if (sign == text.size() || (text[sign] != '=' && text[sign] != ':')) continue;
        std::size_t start = sign + 1;
        while (start < text.size() && kSpace.find(text[start]) != kSpace.npos)
            ++start;
        if (start == text.size()) continue;
        clean.append(text.substr(end, start - end)).append(kRedacted);
        // What stands behind a colon may have several words.
        i = text[sign] == '=' ? value_end(text, start) : text.size();
    }
    return clean;
}

}  // namespace

bool is_secret_name(std::string_view name) {
    std::string small(name);
    std::transform(small.begin(), small.end(), small.begin(), lower);
    return std::any_of(kSecretWords.begin(), kSecretWords.end(),
                       [&](std::string_view word) { return small.find(word) != std::string::npos; });
}

std::string redact_text(std::string_view text) {
    if (text.find("PRIVATE KEY-----") != std::string_view::npos) return std::string(kRedacted);
    return without_named_secrets(without_passwords(text));
}

std::string redact_value(std::string_view name, std::string_view value) {
    if (!value.empty() && is_secret_name(name)) return std::string(kRedacted);
    return redact_text(value);
}

std::vector<std::string> redact_arguments(const std::vector<std::string>& arguments) {
    std::vector<std::string> clean;
    bool is_value = false;
    for (const std::string& argument : arguments) {
        const std::size_t equals = argument.find('=');
        const bool is_secret_option = argument.starts_with('-') && is_secret_name(argument.substr(0, equals));
        if (is_value)
            clean.emplace_back(kRedacted);
        else if (is_secret_option && equals != std::string::npos)
            clean.push_back(argument.substr(0, equals + 1).append(kRedacted));
        else if (is_secret_option)
            clean.push_back(argument.substr(0, find_end(argument, " :", 0)));
        else
            clean.push_back(redact_text(argument));
        // A secret may look like an option, and an option without a value may be taken for one with: whatever
        // follows is hidden, and what follows a hidden option too.
        is_value = is_secret_option && equals == std::string::npos;
    }
    return clean;
}

}  // namespace signalbox::telemetry
