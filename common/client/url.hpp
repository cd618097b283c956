// Where an agent listens: "unix:/run/mailroom/agent.sock", "tls://host:port".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace signalbox::client {

struct Url {
    enum class Scheme { unix_socket, tls };
    Scheme scheme = Scheme::unix_socket;
    std::string path{};  ///< of the socket
    std::string host{};  ///< without the brackets of an IPv6 address
    std::uint16_t port = 0;

    /// Throws std::invalid_argument with what is wrong and an example of what is right.
    static Url parse(std::string_view text);
    std::string to_string() const;
    friend bool operator==(const Url&, const Url&) = default;
};

}  // namespace signalbox::client
