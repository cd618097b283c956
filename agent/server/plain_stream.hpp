// The byte stream under a connection, unencrypted: TCP or a unix socket.
//
// Connections are templates over this type; TlsStream offers the same members. Only two may be missing: send_file_now()
// (files are read and written then) and write_last_now().
#pragma once

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <string_view>
#include <utility>

#include "agent/server/lingering.hpp"
#include "agent/server/poller.hpp"

namespace signalbox::server {

class PlainStream {
public:
    using Socket = PolledSocket;

    /// Takes a connected, non-blocking descriptor.
    PlainStream(Poller& poller, int descriptor) : socket_(poller, descriptor) {}
    explicit PlainStream(Socket socket) : socket_(std::move(socket)) {}

    auto get_executor() { return socket_.get_executor(); }

    template <class Handler>
    void async_read_some(char* to, std::size_t size, Handler&& handler) {
        Reading<std::decay_t<Handler>> reading{this, to, size, std::forward<Handler>(handler)};
        if (!more_) return socket_.async_wait_for_more(Socket::wait_read, std::move(reading));
        boost::system::error_code ec;
        const std::size_t bytes = read_now(to, size, ec);
        if (ec == boost::asio::error::would_block)
            return socket_.async_wait_for_more(Socket::wait_read, std::move(reading));
        boost::asio::post(get_executor(), [handler = std::move(reading.handler), ec, bytes]() mutable {
            handler(ec, bytes);
        });
    }

    /// Reads what there is, without waiting. `ec` is would_block when there is nothing, eof at the end.
    std::size_t read_now(char* to, std::size_t size, boost::system::error_code& ec) {
        ssize_t got = 0;
        do
            got = ::recv(socket_.native_handle(), to, size, MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
        more_ = got == static_cast<ssize_t>(size) || socket_.is_ready(Socket::wait_read);
        if (got > 0) return static_cast<std::size_t>(got);
        if (got == 0)
            ec = boost::asio::error::eof;
        else if (errno == EAGAIN)
            ec = boost::asio::error::would_block;
        else
            ec.assign(errno, boost::system::system_category());
        return 0;
    }

    /// After a read_now() without anything: handler(error_code) when it is worth another.
    template <class Handler>
    void async_wait_readable(Handler&& handler) {
        socket_.async_wait_for_more(Socket::wait_read, std::forward<Handler>(handler));
    }

    /// Writes what fits into the socket's buffer, without waiting. Less than everything is no error.
    std::size_t write_now(std::string_view head, std::string_view body, boost::system::error_code& ec) {
        return write(head, body, 0, ec);
    }
    /// The same before the end of the connection, or of what is written to it: what is sent goes together with that.
    std::size_t write_last_now(std::string_view head, std::string_view body, boost::system::error_code& ec) {
        return write(head, body, MSG_MORE, ec);
    }

    /// Writes some of it when that is possible: handler(error_code, bytes).
    template <class Handler>
    void async_write_some(std::string_view head, std::string_view body, Handler&& handler) {
        socket_.async_wait(Socket::wait_write,
                           Writing<std::decay_t<Handler>>{this, head, body, std::forward<Handler>(handler)});
    }

    /// Sends from a regular file, without waiting; some of it is no error. `ec` is would_block when the
    /// socket's buffer is full, eof when the file ends before `offset` + 1.
    std::size_t send_file_now(int file, std::uint64_t offset, std::size_t bytes,
                              boost::system::error_code& ec) {
        auto position = static_cast<off_t>(offset);
        const ssize_t sent = ::sendfile(socket_.native_handle(), file, &position, bytes);
        if (sent > 0) return static_cast<std::size_t>(sent);
        if (sent == 0)
            ec = boost::asio::error::eof;
        else if (errno == EAGAIN || errno == EINTR)
            ec = boost::asio::error::would_block;
        else
            ec.assign(errno, boost::system::system_category());
        return 0;
    }

    /// After a write_now() that did not take everything: handler(error_code) when it is worth another.
    template <class Handler>
    void async_wait_writable(Handler&& handler) {
        socket_.async_wait(Socket::wait_write, std::forward<Handler>(handler));
    }

    /// Nothing is written after it.
    void shutdown() { ::shutdown(socket_.native_handle(), SHUT_WR); }
    /// close() discards what is unsent and resets the connection.
    void reset() { reset_on_close(socket_.native_handle()); }

    void close() { socket_.close(); }
    /// Gives the descriptor away, after what a protocol says at the end has been said. What waits is cancelled.
    int release() { return socket_.release(); }

private:
    std::size_t write(std::string_view head, std::string_view body, int flags,
                      boost::system::error_code& ec) {
        flags |= MSG_NOSIGNAL | MSG_DONTWAIT;
        ssize_t sent = 0;
        if (body.empty()) {
            sent = ::send(socket_.native_handle(), head.data(), head.size(), flags);
        } else {
            iovec parts[] = {{const_cast<char*>(head.data()), head.size()},
                             {const_cast<char*>(body.data()), body.size()}};
            msghdr message{};
            message.msg_iov = parts;
            message.msg_iovlen = 2;
            sent = ::sendmsg(socket_.native_handle(), &message, flags);
        }
        if (sent >= 0) return static_cast<std::size_t>(sent);
        if (errno != EAGAIN && errno != EINTR) ec.assign(errno, boost::system::system_category());
        return 0;
    }

    /// What waits calls these in its turn; the handler keeps the stream alive and in its place.
    template <class Handler>
    struct Reading {
        PlainStream* stream;
        char* to;
        std::size_t size;
        Handler handler;

        void operator()(boost::system::error_code ec) {
            const std::size_t bytes = ec ? 0 : stream->read_now(to, size, ec);
            if (ec != boost::asio::error::would_block) return handler(ec, bytes);
            PlainStream* const waiting = stream;
            waiting->socket_.async_wait_for_more(Socket::wait_read, std::move(*this));
        }
    };
    template <class Handler>
    struct Writing {
        PlainStream* stream;
        std::string_view head;
        std::string_view body;
        Handler handler;

        void operator()(boost::system::error_code ec) {
            const std::size_t bytes = ec ? 0 : stream->write_now(head, body, ec);
            if (ec || bytes > 0) return handler(ec, bytes);
            PlainStream* const waiting = stream;
            waiting->socket_.async_wait_for_more(Socket::wait_write, std::move(*this));
        }
    };

    Socket socket_;
    bool more_ = true;  ///< perhaps: the last read gave all that was asked for
};

}  // namespace signalbox::server
