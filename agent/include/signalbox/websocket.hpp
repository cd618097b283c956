// WebSockets (RFC 6455) on an HTTP listener, as a coroutine for each.
//
//     awaitable<void> echo(const signalbox::Request&, signalbox::WebSocket socket) {
//         for (auto message = co_await socket.read(); message; message = co_await socket.read())
//             co_await socket.write(message->data);
//     }
//     router.websocket("/echo", echo);
//
// The handler is called when the handshake is done; the WebSocket is closed with its object, at the end of the handler if
// that has not given it away: with 1001 when the worker drains, so that the client may come back to another worker, with
// 1011 after an exception, which is counted in websocket_failures_total and shown, and otherwise with 1000.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "signalbox/bytes.hpp"

namespace signalbox {

template <class T>
using awaitable = boost::asio::awaitable<T>;

namespace detail {
class WebSocketCore;
}

struct Request;

struct WebSocketOptions {
    Bytes message{1024 * 1024};  ///< a longer one is answered with close code 1009
    /// A client that is silent for half of it is sent a ping; one that stays silent is given up.
    std::chrono::milliseconds idle{60'000};
    std::chrono::milliseconds write{30'000};  ///< for a whole message
    std::chrono::milliseconds close{5'000};   ///< for the client's answer to a close
    /// Of the pages that may open one, as browsers say them: "https://example.org". Others get 403. Empty: those of the
    /// host that the request is for; {"*"}: all. Programs that are no browsers send none and are let in.
    std::vector<std::string> origins{};
    std::vector<std::string>
        protocols{};  ///< subprotocols; the first of these that the client offers is agreed upon
};

struct WebSocketMessage {
    std::string_view data;  ///< valid until the next read()
    bool text = true;       ///< valid UTF-8; otherwise binary
};

/// Of its handler's coroutine: used on the worker's event loop only. One coroutine may read, any number write: messages go
/// out whole, one after another. What is awaited here may be cancelled.
class WebSocket {
public:
    /// For the server.
    explicit WebSocket(std::shared_ptr<detail::WebSocketCore> core) noexcept;
    WebSocket(WebSocket&&) noexcept;
    WebSocket& operator=(WebSocket&&) noexcept;
    ~WebSocket();

    /// The next message. Nothing when either side has closed, the client has gone or broken the rules, or the worker
    /// drains: return then. Pings and closes are answered
    /// unless a message waits to be read.
    awaitable<std::optional<WebSocketMessage>> read();

    /// Returns when the kernel has taken all. Throws boost::system::system_error when the WebSocket is closed, or the client
    /// does not take it in time, which ends it.
    awaitable<void> write(std::string_view text);
    awaitable<void> write_binary(std::string_view bytes);

    /// Returns at once; reading returns nothing from now on. `reason`: UTF-8, at most 123 bytes.
    void close(std::uint16_t code = 1000, std::string_view reason = {});

    /// The worker drains, which may be taken back.
    bool draining() const;
    awaitable<void> until_draining();

    /// The subprotocol agreed upon; empty: none.
    const std::string& protocol() const;
    /// What the tables of connections show from now on, cut at 40 bytes; counts as a request of the worker.
    void begin_request(std::string_view what);

private:
    std::shared_ptr<detail::WebSocketCore> core_;
};

/// The request lives until the handler has ended.
using WebSocketHandler = std::function<awaitable<void>(const Request&, WebSocket)>;

}  // namespace signalbox
