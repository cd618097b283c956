// Stream handlers: any protocol over TCP, TLS or a unix socket, as a coroutine for each connection.
//
//     awaitable<void> echo_lines(signalbox::Connection connection) {
//         for (bool more = co_await connection.more(); more; more = co_await connection.more()) {
//             const std::string_view line = co_await connection.read_until("\n", 1000);
//             co_await connection.write(line);
//         }
//     }
//     group.stream("*:7000", echo_lines, {.stream = {.idle = std::chrono::minutes(5), .connections = 10'000}});
//
// The connection is closed with its Connection, at the end of the handler if that has not given it away. An exception
// that leaves the handler resets it, so that the peer can tell that something is missing.
//
// When the worker drains, more() says that it is time to say goodbye; a handler that waits for something else looks at
// draining() or awaits until_draining(), together with the other thing:
//
//     using namespace boost::asio::experimental::awaitable_operators;
//     const auto first = co_await (connection.read_some() || connection.until_draining());
//
// What is open after the group's drain_deadline is cut.
//
// A stream whose handler returns is served, one that an exception ends has failed: it is in connections_failed_total by
// whose fault that was, and in stream_failures_total by the exception's type or its error_code's message.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "signalbox/bytes.hpp"
#include "signalbox/transport.hpp"

namespace signalbox {

template <class T>
using awaitable = boost::asio::awaitable<T>;

namespace detail {
class StreamCore;
}

/// Limits of one stream listener. A deadline is met within 200 ms, never early; 0: none.
struct StreamLimits {
    std::chrono::milliseconds idle{75'000};   ///< until the first byte of what is read
    std::chrono::milliseconds read{30'000};   ///< from then on to the end of it
    std::chrono::milliseconds write{30'000};  ///< without any progress
    Bytes message{1024 * 1024};  ///< the most that is gathered for one read_until() or read_exactly()
    unsigned connections = 0;    ///< of each worker; more are reset. 0: as many as come
};

/// A connection, of its handler's coroutine: used on the worker's event loop only. One coroutine may read while another
/// one writes. What is awaited here may be cancelled; a write that is cancelled ends the connection.
///
/// Failures are boost::system::system_error: timed_out at a deadline, message_size beyond a limit, eof in the middle of
/// what is read, operation_aborted after close(), and what the network says. A handler need not catch them.
class Connection {
public:
    /// For the server.
    explicit Connection(std::shared_ptr<detail::StreamCore> core) noexcept;
    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;
    ~Connection();

    /// Waits between two messages: true when there is input, false when the peer has ended its side or when the worker
    /// drains and nothing has come in.
    awaitable<bool> more();

    /// These return what has come, valid until the next of them is called; nothing at the peer's end.
    awaitable<std::string_view> read_some();
    /// Up to and with `delimiter` (not empty; kept by the caller until it returns), at most `most` bytes.
    awaitable<std::string_view> read_until(std::string_view delimiter, std::size_t most);
    awaitable<std::string_view> read_exactly(std::size_t bytes);

    /// Returns when the kernel has taken all of `bytes`, which stay valid until then.
    awaitable<void> write(std::string_view bytes);

    /// The worker drains, which may be taken back: end soon, so that the peer may come back to another worker.
    bool draining() const;
    awaitable<void> until_draining();

    /// "127.0.0.1:4242", "[::1]:4242" or "unix"; who a trusted proxy says it is.
    const std::string& peer() const;
    /// Null for plain text.
    const TlsFacts* tls() const;
    /// What the tables of connections show from now on, cut at 40 bytes; counts as a request of the worker.
    void begin_request(std::string_view what);

    /// Says that nothing more will be written; reading goes on.
    void shutdown();
    /// What was written is still delivered. Whatever is being awaited fails.
    void close();
    /// The peer is told that the connection has failed.
    void reset();

private:
    std::shared_ptr<detail::StreamCore> core_;
};

using StreamHandler = std::function<awaitable<void>(Connection)>;

}  // namespace signalbox
