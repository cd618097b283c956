// A connection of either kind (unix socket, or TLS over TCP) as one type, so that HTTP and WebSocket are
// compiled once.
//
// An AsyncStream in Asio's sense. Movable; not thread-safe.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <memory>
#include <utility>

namespace signalbox::service {

class PeerStream {
public:
    using Socket = boost::asio::generic::stream_protocol::socket;
    using Tls = boost::asio::ssl::stream<Socket&>;
    using executor_type = Socket::executor_type;

    explicit PeerStream(Socket socket) : socket_(std::make_unique<Socket>(std::move(socket))) {}
    PeerStream(Socket socket, boost::asio::ssl::context& context)
        : socket_(std::make_unique<Socket>(std::move(socket))),
          tls_(std::make_unique<Tls>(*socket_, context)) {}

    executor_type get_executor() { return socket_->get_executor(); }
    Socket& socket() { return *socket_; }
    Tls* tls() { return tls_.get(); }  ///< null on a unix socket

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        if (tls_) return tls_->async_read_some(buffers, std::forward<Token>(token));
        return socket_->async_read_some(buffers, std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        if (tls_) return tls_->async_write_some(buffers, std::forward<Token>(token));
        return socket_->async_write_some(buffers, std::forward<Token>(token));
    }

    /// Nothing happens when it has been moved from.
    void close() {
        boost::system::error_code ignored;
        if (socket_) socket_->close(ignored);
    }
    friend void beast_close_socket(PeerStream& stream) { stream.close(); }

private:
    std::unique_ptr<Socket> socket_;
    std::unique_ptr<Tls> tls_;  ///< refers to *socket_
};

/// What Beast does when a WebSocket has ended. Its close frames were exchanged already, so TLS need not say
/// goodbye.
template <class Handler>
void async_teardown(boost::beast::role_type, PeerStream& stream, Handler&& handler) {
    boost::system::error_code error;
    stream.socket().shutdown(boost::asio::socket_base::shutdown_both, error);
    boost::asio::post(stream.get_executor(),
                      boost::beast::bind_front_handler(std::forward<Handler>(handler), error));
}
inline void teardown(boost::beast::role_type, PeerStream& stream, boost::system::error_code& error) {
    stream.socket().shutdown(boost::asio::socket_base::shutdown_both, error);
}

}  // namespace signalbox::service
