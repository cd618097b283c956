// A byte stream over TLS, with the members that PlainStream has, so that whatever is served over the one is
// served over the other.
//
// OpenSSL reads and writes the socket itself; Asio only says when. So a connection costs OpenSSL's state and no
// buffers while it is idle, and a record is never copied from one buffer to another. (asio::ssl::stream keeps
// 34 KB of buffers a connection and moves each byte through a BIO pair.) write(2) is what OpenSSL calls: the
// process ignores SIGPIPE.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/post.hpp>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "agent/server/plain_stream.hpp"
#include "agent/server/transport/tls_context.hpp"

namespace signalbox::server {

class TlsStream {
public:
    using Socket = PlainStream::Socket;
    using error_code = boost::system::error_code;

    /// The server's end of a connected, non-blocking socket; the handshake comes first.
    TlsStream(Socket socket, SSL_CTX* context);

    /// What an operation needs before it can go on.
    enum class Wants { nothing, input, room };

    /// Goes on with the handshake as far as that is possible without waiting. After `ec` is set
    /// handshake_failure() says more.
    Wants handshake(error_code& ec);
    /// Whether the handshake's next step may sign, verify or derive keys; otherwise it is a matter of microseconds.
    bool next_step_is_costly() const;
    bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

    /// Calls handler(error_code) when the socket has got it.
    template <class Handler>
    void async_wait(Wants wants, Handler&& handler) {
        socket_.async_wait(wants == Wants::room ? Socket::wait_write : Socket::wait_read,
                           std::forward<Handler>(handler));
    }

    auto get_executor() { return socket_.get_executor(); }

    template <class Handler>
    void async_read_some(char* to, std::size_t size, Handler&& handler) {
        Reading<std::decay_t<Handler>> reading{this, to, size, std::forward<Handler>(handler)};
        if (ssl_ && SSL_has_pending(ssl_.get()))  // read already, together with what came before it
            boost::asio::post(get_executor(), std::move(reading));
        else
            async_wait(Wants::input, std::move(reading));
    }

    /// Writes what fits into the socket's buffer, without waiting. Less than everything is no error; the next
    /// bytes to be written are then those that did not fit.
    std::size_t write_now(std::string_view head, std::string_view body, error_code& ec);

    /// Writes some of it when that is possible: handler(error_code, bytes).
    template <class Handler>
    void async_write_some(std::string_view head, std::string_view body, Handler&& handler) {
        async_wait(blocked_by_,
                   Writing<std::decay_t<Handler>>{this, head, body, std::forward<Handler>(handler)});
    }

    std::size_t read_now(char* to, std::size_t size, error_code& ec);
    template <class Handler>
    void async_wait_readable(Handler&& handler) {
        async_wait(blocked_by_, std::forward<Handler>(handler));
    }
    template <class Handler>
    void async_wait_writable(Handler&& handler) {
        async_wait(blocked_by_, std::forward<Handler>(handler));
    }

    /// What the handshake, which is complete, has shown.
    TlsFacts facts() const;

    void shutdown();
    void reset();
    /// Says close_notify, as far as that is possible without waiting.
    void close();
    int release();

private:
    /// What waits calls these in its turn; the handler keeps the stream alive.
    template <class Handler>
    struct Reading {
        TlsStream* stream;
        char* to;
        std::size_t size;
        Handler handler;

        void operator()(error_code ec = {}) {
            const std::size_t bytes = ec ? 0 : stream->read_now(to, size, ec);
            if (ec || bytes > 0 || size == 0) return handler(ec, bytes);
            TlsStream* const waiting = stream;
            waiting->async_wait(waiting->blocked_by_, std::move(*this));
        }
    };
    template <class Handler>
    struct Writing {
        TlsStream* stream;
        std::string_view head;
        std::string_view body;
        Handler handler;

        void operator()(error_code ec) {
            const std::size_t bytes = ec ? 0 : stream->write_now(head, body, ec);
            if (ec || bytes > 0) return handler(ec, bytes);
            TlsStream* const waiting = stream;
            waiting->async_wait(waiting->blocked_by_, std::move(*this));
        }
    };

    Wants explain(int result, error_code& ec);
    void say_goodbye();

    Socket socket_;
    std::unique_ptr<SSL, FreeWith<SSL_free>> ssl_;  ///< null: closed. It knows the descriptor's number, which
                                                    ///< may be another connection's by then
    Wants blocked_by_ = Wants::room;                ///< the last operation that could not go on
    bool broken_ = false;                           ///< nothing more can be said
};

/// Null for plain text.
inline std::shared_ptr<const TlsFacts> facts_of(const PlainStream&) {
    return nullptr;
}
inline std::shared_ptr<const TlsFacts> facts_of(const TlsStream& stream) {
    return std::make_shared<const TlsFacts>(stream.facts());
}

/// Why a handshake ended, for counting.
enum class HandshakeResult : std::size_t {
    full,
    resumed,
    plain_text,          ///< the client speaks no TLS
    no_common_ground,    ///< no version, cipher, group or protocol that both speak
    client_certificate,  ///< missing, or not to be trusted
    refused_by_client,   ///< it does not trust ours, or ends it for another reason
    malformed,
    disconnected,
    deadline,
    kCount
};

/// What the thread's last TLS operation failed of. Called right after it.
HandshakeResult handshake_failure();

}  // namespace signalbox::server
