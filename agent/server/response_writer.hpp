// Responses as bytes: status line, the fields that the server sets itself, the handler's fields.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "signalbox/http.hpp"

namespace signalbox::server {

/// The Date field's value (RFC 9110, section 5.6.7), formatted once a second.
class DateClock {
public:
    /// "Sat, 21 Nov 2026 00:07:33 GMT". Valid until the next call.
    std::string_view now();
    std::string_view at(std::time_t time);

private:
    std::time_t formatted_ = -1;
    char text_[32];
};

struct Framing {
    int version = 11;        ///< of the request
    bool keep_alive = true;  ///< what the server is going to do
    bool head = false;       ///< the length is said, but no body follows
};

/// Whether a body follows the header of such a response.
bool has_body(const Response& response, const Framing& framing);

/// Appends everything up to and including the empty line. A body of unknown length is announced as chunked,
/// for HTTP/1.0 not at all: the connection has to be closed after it. Content-Length, Date, Connection and
/// Transfer-Encoding among the response's fields are left out. Throws std::invalid_argument for a field that
/// would break the framing (a name that is no token, a line end in a value) or a status that is none; `out`
/// is unchanged then.
void append_header(std::string& out, const Response& response, const Framing& framing, std::string_view date);

/// "Not Found"
std::string_view reason_phrase(int status);

}  // namespace signalbox::server
