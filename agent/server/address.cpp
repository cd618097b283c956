#include "agent/server/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <stdexcept>

namespace signalbox::server {

namespace {

std::invalid_argument no_address(std::string_view text) {
    return std::invalid_argument(fmt::format(
        "'{}' is not an address; try '127.0.0.1:8080', '[::1]:8080', '*:8080' or 'unix:/run/hello.sock'",
        text));
}

SocketAddress unix_address(std::string_view text, std::string_view path) {
    SocketAddress result;
    sockaddr_un address{};
    if (path.empty()) throw no_address(text);
    if (path.size() >= sizeof address.sun_path)
        throw std::invalid_argument(fmt::format("'{}': a unix socket's path has at most {} bytes", text,
                                                sizeof address.sun_path - 1));
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    std::memcpy(&result.storage, &address, sizeof address);
    result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    result.unix_path = path;
    return result;
}

template <class Address>
SocketAddress copy_of(const Address& address) {
    SocketAddress result;
    std::memcpy(&result.storage, &address, sizeof address);
    result.size = sizeof address;
    return result;
}

/// By hand, since it is done for every connection.
std::string format_v4(const unsigned char* bytes, unsigned port) {
    char text[sizeof "255.255.255.255:65535"];
    char* end = text;
    for (int i = 0; i < 4; ++i) {
        end = std::to_chars(end, std::end(text), bytes[i]).ptr;
        *end++ = i < 3 ? '.' : ':';
    }
    return {text, std::to_chars(end, std::end(text), port).ptr};
}

}  // namespace

std::string format_address(const sockaddr_storage& address) {
    if (address.ss_family == AF_INET) {
        sockaddr_in v4;
        std::memcpy(&v4, &address, sizeof v4);
        return format_v4(reinterpret_cast<const unsigned char*>(&v4.sin_addr), ntohs(v4.sin_port));
    }
    if (address.ss_family == AF_INET6) {
        sockaddr_in6 v6;
        std::memcpy(&v6, &address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            return format_v4(v6.sin6_addr.s6_addr + 12, ntohs(v6.sin6_port));
        }
        char text[INET6_ADDRSTRLEN] = "";
        ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
    }
    return "unix";
}

SocketAddress parse_address(std::string_view text) {
    if (text.starts_with("unix:")) return unix_address(text, text.substr(5));
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos || colon + 1 == text.size()) throw no_address(text);
    std::uint16_t port = 0;
    const char* const end = text.data() + text.size();
    const auto [parsed, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (error != std::errc() || parsed != end) throw no_address(text);

    std::string host(text.substr(0, colon));
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) != 1)
            throw no_address(text);
        return copy_of(v6);
    }
    if (host == "*") {
        sockaddr_in6 any{};
        any.sin6_family = AF_INET6;
        any.sin6_port = htons(port);
        return copy_of(any);
    }
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1) throw no_address(text);
    return copy_of(v4);
}

}  // namespace signalbox::server
