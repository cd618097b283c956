#include "agent/examples/load/target.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <charconv>
#include <stdexcept>

namespace signalbox::load {

namespace {

[[noreturn]] void refuse(std::string_view url, std::string_view why) {
    throw std::invalid_argument(fmt::format(
        "'{}' {}; try http://127.0.0.1:8080/hello or http+unix://%2Frun%2Fhello.sock/hello", url, why));
}

std::string percent_decoded(std::string_view text, std::string_view url) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            out += text[at];
            continue;
        }
        const std::string_view digits = text.substr(at + 1, 2);
        unsigned byte = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
        if (error != std::errc{} || digits.size() != 2 || end != digits.data() + 2)
            refuse(url, "has a '%' without two hexadecimal digits");
        out += static_cast<char>(byte);
        at += 2;
    }
    return out;
}

void split_authority(Target& target, std::string_view url) {
    const std::string_view authority = target.authority;
    if (authority.find('@') != std::string_view::npos) refuse(url, "names a user, which is not supported");
    std::string_view rest;
    if (authority.starts_with('[')) {
        const std::size_t bracket = authority.find(']');
        if (bracket == std::string_view::npos) refuse(url, "lacks the ']' of its address");
        target.host = authority.substr(1, bracket - 1);
        rest = authority.substr(bracket + 1);
    } else {
        target.host = authority.substr(0, authority.find(':'));
        rest = authority.substr(target.host.size());
    }
    target.port = rest.empty() ? "80" : rest.substr(1);
    std::uint16_t number = 0;
    const char* end = target.port.data() + target.port.size();
    const auto parsed = std::from_chars(target.port.data(), end, number);
    const bool is_port = parsed.ec == std::errc{} && parsed.ptr == end && number != 0;
    if (target.host.empty() || !is_port || (!rest.empty() && rest[0] != ':'))
        refuse(url, "does not name a host and a port");
}

}  // namespace

Target Target::parse(std::string_view url) {
    constexpr std::string_view kTcp = "http://";
    constexpr std::string_view kUnix = "http+unix://";
    const bool is_unix = url.starts_with(kUnix);
    if (!is_unix && !url.starts_with(kTcp)) refuse(url, "does not start with http:// or http+unix://");
    for (const char c : url)
        if (c <= ' ' || c == 127) refuse(url, "contains blanks or control characters");
    const std::string_view rest = url.substr(is_unix ? kUnix.size() : kTcp.size());
    const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
    Target target;
    target.path = rest.substr(authority_end);
    target.path.erase(std::min(target.path.find('#'), target.path.size()));
    if (!target.path.starts_with('/')) target.path.insert(0, "/");
    target.authority = rest.substr(0, authority_end);
    if (is_unix) {
        target.socket_path = percent_decoded(target.authority, url);
        if (target.socket_path.empty()) refuse(url, "does not name a socket");
        target.authority = "localhost";
    } else {
        split_authority(target, url);
    }
    return target;
}

boost::asio::generic::stream_protocol::endpoint Target::resolve(boost::asio::io_context& io) const {
    if (!socket_path.empty()) return boost::asio::local::stream_protocol::endpoint(socket_path);
    boost::asio::ip::tcp::resolver resolver(io);
    boost::system::error_code error;
    const auto found = resolver.resolve(host, port, error);
    if (error) throw std::runtime_error(fmt::format("{}: {}", authority, error.message()));
    return found.begin()->endpoint();
}

}  // namespace signalbox::load
