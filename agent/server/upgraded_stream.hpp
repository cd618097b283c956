// The stream of an HTTP connection that has become something else, as one type over either transport and with the shape
// that Beast expects of a stream.
#pragma once

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "agent/server/plain_stream.hpp"
#include "agent/server/transport/tls_stream.hpp"

namespace signalbox::server {

class UpgradedStream {
public:
    using executor_type = boost::asio::io_context::executor_type;
    using error_code = boost::system::error_code;

    /// `begun`: what has come in already.
    UpgradedStream(PlainStream stream, std::string_view begun) : stream_(std::move(stream)), begun_(begun) {}
    UpgradedStream(TlsStream stream, std::string_view begun) : stream_(std::move(stream)), begun_(begun) {}

    executor_type get_executor() {
        return std::visit([](auto& stream) -> executor_type { return stream.get_executor(); }, stream_);
    }

    template <class Buffers, class Handler>
    void async_read_some(const Buffers& buffers, Handler&& handler) {
        const boost::asio::mutable_buffer to = *boost::asio::buffer_sequence_begin(buffers);
        if (begun_.empty())
            return std::visit(
                [&](auto& stream) {
                    stream.async_read_some(static_cast<char*>(to.data()), to.size(),
                                           std::forward<Handler>(handler));
                },
                stream_);
        const std::size_t bytes = std::min(to.size(), begun_.size());
        std::memcpy(to.data(), begun_.data(), bytes);
        begun_.erase(0, bytes);
        complete(std::forward<Handler>(handler), {}, bytes);
    }

    template <class Buffers, class Handler>
    void async_write_some(const Buffers& buffers, Handler&& handler) {
        std::string_view parts[2];
        auto next = boost::asio::buffer_sequence_begin(buffers);
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (std::string_view& part : parts) {
            if (next == end) break;
            const boost::asio::const_buffer from = *next++;
            part = {static_cast<const char*>(from.data()), from.size()};
        }
        std::visit(
            [&](auto& stream) {
                error_code ec;
                const std::size_t bytes = stream.write_now(parts[0], parts[1], ec);
                if (ec || bytes > 0) return complete(std::forward<Handler>(handler), ec, bytes);
                stream.async_write_some(parts[0], parts[1], std::forward<Handler>(handler));
            },
            stream_);
    }

    void shutdown() {
        std::visit([](auto& stream) { stream.shutdown(); }, stream_);
    }
    void close() {
        std::visit([](auto& stream) { stream.close(); }, stream_);
    }
    int release() {
        return std::visit([](auto& stream) { return stream.release(); }, stream_);
    }
    friend void beast_close_socket(UpgradedStream& stream) { stream.close(); }

private:
    template <class Handler>
    void complete(Handler&& handler, error_code ec, std::size_t bytes) {
        boost::asio::post(get_executor(),
                          boost::beast::bind_front_handler(std::forward<Handler>(handler), ec, bytes));
    }

    std::variant<PlainStream, TlsStream> stream_;
    std::string begun_;
};

/// What Beast does when both sides have closed.
template <class Handler>
void async_teardown(boost::beast::role_type, UpgradedStream& stream, Handler&& handler) {
    stream.shutdown();
    boost::asio::post(stream.get_executor(), boost::beast::bind_front_handler(std::forward<Handler>(handler),
                                                                              boost::system::error_code()));
}
inline void teardown(boost::beast::role_type, UpgradedStream& stream, boost::system::error_code&) {
    stream.shutdown();
}

}  // namespace signalbox::server
