// The byte stream under the WebSocket: a unix socket, or TLS 1.3 over TCP, behind one type, so that Beast's
// WebSocket, slow to compile, is instantiated once.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/client/session.hpp"
#include "common/client/url.hpp"

namespace signalbox::client {

/// Why a connection failed, as a sentence without its full stop.
struct ConnectionProblem : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A model of Beast's AsyncStream. Every operation ends with an error once close() was called.
class Transport {
public:
    using Socket = boost::asio::generic::stream_protocol::socket;
    using executor_type = Socket::executor_type;

    explicit Transport(boost::asio::io_context& io) : socket_(io) {}

    /// Resolves, connects and, for tls://, verifies the agent. Throws boost::system::system_error or
    /// ConnectionProblem.
    boost::asio::awaitable<void> connect(const Url& url, const TlsFiles& files);
    void close() noexcept;

    executor_type get_executor() { return socket_.get_executor(); }

    template <typename Buffers, typename Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return tls_ ? tls_->async_read_some(buffers, std::forward<Token>(token))
                    : socket_.async_read_some(buffers, std::forward<Token>(token));
    }
    template <typename Buffers, typename Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return tls_ ? tls_->async_write_some(buffers, std::forward<Token>(token))
                    : socket_.async_write_some(buffers, std::forward<Token>(token));
    }

private:
    boost::asio::awaitable<void> connect_socket(const Url& url);
    boost::asio::awaitable<void> start_tls(const Url& url, const TlsFiles& files);

    Socket socket_;
    bool closed_ = false;
    std::optional<boost::asio::ssl::context> tls_context_;
    std::optional<boost::asio::ssl::stream<Socket&>> tls_;
};

// What Beast calls, found by argument-dependent look-up, when a WebSocket has said goodbye or timed out.
template <typename Handler>
void async_teardown(boost::beast::role_type, Transport& transport, Handler&& handler) {
    transport.close();
    boost::asio::post(
        transport.get_executor(),
        boost::beast::bind_front_handler(std::forward<Handler>(handler), boost::beast::error_code()));
}
inline void beast_close_socket(Transport& transport) {
    transport.close();
}

}  // namespace signalbox::client
