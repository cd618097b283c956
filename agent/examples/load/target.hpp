// Where the load goes: "http://host:port/path", or "http+unix://%2Frun%2Fhello.sock/path" for a unix socket.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <string_view>

namespace signalbox::load {

struct Target {
    std::string socket_path;  ///< of a unix socket; empty: TCP
    std::string host;         ///< without the brackets of an IPv6 address
    std::string port;
    std::string authority;  ///< for the Host field
    std::string path;       ///< with the query; at least "/"

    /// Throws std::invalid_argument with what is wrong and an example of what is right.
    static Target parse(std::string_view url);
    /// Blocks on name resolution. Throws std::runtime_error that names the host.
    boost::asio::generic::stream_protocol::endpoint resolve(boost::asio::io_context& io) const;
};

}  // namespace signalbox::load
