#include "common/client/url.hpp"

#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace signalbox::client {
namespace {

constexpr std::string_view kExamples =
    "try 'unix:/run/mailroom/agent.sock' or 'tls://mailroom.example.org:9443'";

[[noreturn]] void refuse(std::string_view text, const std::string& problem) {
    throw std::invalid_argument("agent URL '" + std::string(text) + "': " + problem + "; " +
                                std::string(kExamples));
}

Url parse_unix(std::string_view text, std::string_view path) {
    // The form with an empty authority, as file:///… has it.
    if (path.starts_with("///")) path.remove_prefix(2);
    if (path.empty()) refuse(text, "the socket's path is missing");
    if (path.starts_with("//")) refuse(text, "a socket is on this machine, so there is no host in its URL");
    constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
    if (path.size() > kLongest)
        refuse(text, "the socket's path is longer than the " + std::to_string(kLongest) +
                         " bytes that the system allows");
    if (path.find('\0') != path.npos) refuse(text, "the socket's path holds a NUL character");
    return {.scheme = Url::Scheme::unix_socket, .path = std::string(path)};
}

bool is_host_character(char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '\x7f' &&
           std::string_view("/@?#[]\\\"'").find(c) == std::string_view::npos;
}

Url parse_tls(std::string_view text, std::string_view rest) {
    const bool bracketed = rest.starts_with('[');
    const std::size_t host_end = bracketed ? rest.find(']') : rest.rfind(':');
    if (bracketed && host_end == rest.npos) refuse(text, "the bracket around the IPv6 address is not closed");
    if (host_end == rest.npos) refuse(text, "the port is missing");
    const std::string_view host = bracketed ? rest.substr(1, host_end - 1) : rest.substr(0, host_end);
    std::string_view port = rest.substr(bracketed ? host_end + 1 : host_end);
    if (host.empty()) refuse(text, "the host is missing");
    if (!bracketed && host.find(':') != host.npos)
        refuse(text, "an IPv6 address goes in brackets, as in 'tls://[::1]:9443'");
    if (!std::all_of(host.begin(), host.end(), is_host_character))
        refuse(text, "the host has characters that no host name has");
    if (!port.starts_with(':')) refuse(text, "the port is missing");
    port.remove_prefix(1);

    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size() || number == 0)
        refuse(text, "the port '" + std::string(port) + "' is not a number from 1 to 65535");
    return {.scheme = Url::Scheme::tls, .path = {}, .host = std::string(host), .port = number};
}

}  // namespace

Url Url::parse(std::string_view text) {
    constexpr std::string_view kUnix = "unix:";
    constexpr std::string_view kTls = "tls://";
    if (text.starts_with(kUnix)) return parse_unix(text, text.substr(kUnix.size()));
    if (text.starts_with(kTls)) return parse_tls(text, text.substr(kTls.size()));
    refuse(text, "it starts with neither 'unix:' nor 'tls://'");
}

std::string Url::to_string() const {
    if (scheme == Scheme::unix_socket) return "unix:" + path;
    const bool is_ipv6 = host.find(':') != host.npos;
    return "tls://" + (is_ipv6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

}  // namespace signalbox::client
