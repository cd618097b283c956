// Takes secrets out of what a process shows of itself: environment, command line, settings.
//
// It would rather hide too much: a value is judged by its name and by its looks, and what looks like a secret
// is gone, be it none. It cannot know a secret that has neither a telling name nor the form of one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace signalbox::telemetry {

inline constexpr std::string_view kRedacted = "(redacted)";

/// It contains, in any case, one of SECRET, TOKEN, PASSWORD, PASSWD, KEY, CREDENTIAL, AUTH, COOKIE, SESSION,
/// PRIVATE.
bool is_secret_name(std::string_view name);

/// Passwords in URLs ("postgres://joe:(redacted)@db/letters"; the user too if there is no password, since it is
/// a token then), in "joe:password@host", values with a secret name ("password=…", "Authorization: …"), and
/// private keys.
std::string redact_text(std::string_view text);

/// All of it if the name is a secret's, else as redact_text().
std::string redact_value(std::string_view name, std::string_view value);

/// A command line: besides, what follows an option with a secret name: "--token", "abc".
std::vector<std::string> redact_arguments(const std::vector<std::string>& arguments);

}  // namespace signalbox::telemetry
