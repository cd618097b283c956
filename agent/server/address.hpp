// Socket addresses as people write them.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

namespace signalbox::server {

/// "127.0.0.1:8080", "[::1]:8080" or "unix".
std::string format_address(const sockaddr_storage& address);

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
    std::string unix_path;  ///< empty for TCP
};

/// Parses "127.0.0.1:8080", "[::1]:8080", "*:8080" (IPv6 and IPv4) or "unix:/run/hello.sock". Throws
/// std::invalid_argument that says what would be right.
SocketAddress parse_address(std::string_view text);

}  // namespace signalbox::server
