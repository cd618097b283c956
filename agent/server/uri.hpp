// Request targets (RFC 9112, section 3.2; RFC 3986): what a client asks for, as a path and a query.
//
// The path is percent-decoded first and freed of dot segments afterwards, so "%2e%2e" climbs no higher than
// ".." does and a handler never meets either.
#pragma once

#include <string>
#include <string_view>

namespace signalbox::server {

/// Fills `path` and `query` from the target of a request with `method`: origin form ("/a?b"), absolute form
/// ("http://host/a?b") or, for OPTIONS, "*". False for anything else: a fragment, bytes beyond ASCII, a
/// malformed or zero escape, the authority form of CONNECT.
bool parse_target(std::string_view method, std::string_view target, std::string& path, std::string& query);

/// "host:81" of an absolute form that parse_target() has taken; empty for any other.
std::string_view authority_of(std::string_view target);

/// Percent-decodes `text` into `out`. False for a malformed escape or %00.
bool decode_percent(std::string_view text, std::string& out);

/// A value of a query: '+' is a space, %XX a byte; a malformed escape stays as it is.
std::string decode_form(std::string_view text);

/// RFC 3986, section 5.2.4, for a path that begins with '/': "/a/./b/../c" becomes "/a/c". Never climbs above
/// the root.
void remove_dot_segments(std::string& path);

/// Whether `value` can be a Host field: letters, digits and the marks of a name, an address and a port. May
/// be empty.
bool is_host(std::string_view value);

}  // namespace signalbox::server
