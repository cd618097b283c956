// The byte stream under a connection, unencrypted: TCP or a unix socket.
//
// Connections are templates over this type; TlsStream offers the same members. Only send_file_now() may be missing:
// files are read and written then.
#pragma once

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/write.hpp>
#include <string_view>
#include <utility>

namespace signalbox::server {

class PlainStream {
public:
    // Naming the executor's type spares the type-erased any_io_executor on every operation.
    using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                    boost::asio::io_context::executor_type>;

    /// Takes a connected, non-blocking descriptor.
    PlainStream(boost::asio::io_context& io, int family, int descriptor) : socket_(io.get_executor()) {
        socket_.assign({family, 0}, descriptor);
    }
    explicit PlainStream(Socket socket) : socket_(std::move(socket)) {}

    auto get_executor() { return socket_.get_executor(); }

    template <class Handler>
    void async_read_some(char* to, std::size_t size, Handler&& handler) {
        socket_.async_read_some(boost::asio::buffer(to, size), std::forward<Handler>(handler));
    }

    /// Reads what there is, without waiting. Nothing and no error: there is none yet.
    std::size_t read_now(char* to, std::size_t size, boost::system::error_code& ec) {
        const ssize_t bytes = ::recv(socket_.native_handle(), to, size, MSG_DONTWAIT);
        if (bytes > 0) return static_cast<std::size_t>(bytes);
        if (bytes == 0)
            ec = boost::asio::error::eof;
        else if (errno != EAGAIN && errno != EINTR)
            ec.assign(errno, boost::system::system_category());
        return 0;
    }
    /// After a read_now() without anything: handler(error_code) when it is worth another.
    template <class Handler>
    void async_wait_readable(Handler&& handler) {
        socket_.async_wait(Socket::wait_read, std::forward<Handler>(handler));
    }

    /// Writes what fits into the socket's buffer, without waiting. Less than everything is no error.
    std::size_t write_now(std::string_view head, std::string_view body, boost::system::error_code& ec) {
        iovec parts[] = {{const_cast<char*>(head.data()), head.size()},
                         {const_cast<char*>(body.data()), body.size()}};
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = body.empty() ? 1 : 2;
        const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) return static_cast<std::size_t>(sent);
        if (errno != EAGAIN && errno != EINTR) ec.assign(errno, boost::system::system_category());
        return 0;
    }

    /// Writes some of it when that is possible: handler(error_code, bytes).
    template <class Handler>
    void async_write_some(std::string_view head, std::string_view body, Handler&& handler) {
        const std::array<boost::asio::const_buffer, 2> parts{boost::asio::buffer(head),
                                                             boost::asio::buffer(body)};
        socket_.async_write_some(parts, std::forward<Handler>(handler));
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
    void shutdown() {
        boost::system::error_code ignored;
        socket_.shutdown(Socket::shutdown_send, ignored);
    }
    /// close() discards what is unsent and resets the connection.
    void reset() {
        boost::system::error_code ignored;
        socket_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
    }

    void close() {
        boost::system::error_code ignored;
        socket_.close(ignored);
    }

    /// Gives the descriptor away, after what a protocol says at the end has been said. Pending operations are
    /// cancelled.
    int release() {
        boost::system::error_code failed;
        return socket_.release(failed);
    }

private:
    Socket socket_;
};

}  // namespace signalbox::server
