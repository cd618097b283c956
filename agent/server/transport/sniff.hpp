// Which of the two a client speaks that may speak either: told from its first byte, so that a client that sends
// one byte and then thinks is no special case.
#pragma once

namespace signalbox::server {

/// A TLS connection begins with a record of type "handshake" (RFC 8446, section 5.1). No request line begins so.
constexpr bool begins_tls(char first) {
    return first == 0x16;
}

}  // namespace signalbox::server
