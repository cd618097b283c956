// Headers of the PROXY protocol, version 2, written field by field.
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <string>
#include <string_view>

inline std::string proxy_v2(int version_and_command, int family_and_transport, std::string_view rest) {
    std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
    header += static_cast<char>(version_and_command);
    header += static_cast<char>(family_and_transport);
    header += static_cast<char>(rest.size() >> 8);
    header += static_cast<char>(rest.size());
    return header.append(rest);
}

/// Source, destination (which nobody looks at), ports.
template <int family, std::size_t bytes>
std::string proxy_addresses(const char* source, std::uint16_t port) {
    std::string addresses(2 * bytes, '\0');
    ::inet_pton(family, source, addresses.data());
    addresses += static_cast<char>(port >> 8);
    addresses += static_cast<char>(port);
    return addresses + std::string("\x00\x50", 2);
}
inline std::string inet_addresses(const char* source, std::uint16_t port) {
    return proxy_addresses<AF_INET, 4>(source, port);
}
inline std::string inet6_addresses(const char* source, std::uint16_t port) {
    return proxy_addresses<AF_INET6, 16>(source, port);
}
