// Datagrams: UDP and unix datagram sockets, served by the workers of a group.
//
//     group.datagram("*:5060", [](const signalbox::Datagram& message) {
//         message.reply("SIP/2.0 200 OK\r\n\r\n");
//     }, {.key = signalbox::sip_call_id});
//
// All workers receive from one socket, some at a time. Without a key, whoever receives a datagram handles it. With one, the
// key (a span of the datagram, found by a function of yours) is hashed to a slot, and a worker that has received another's
// datagram forwards it to that slot: what belongs together is handled by one worker, in the order in which it is received.
// A slot's successor takes over where its predecessor stops, and nothing is lost between: what is forwarded waits in a
// socket that the arbiter holds. When the group is scaled from n to m workers, only as many keys move as have to (Lamping
// and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014).
//
// Datagrams are lost where somebody cannot keep up, as it is with them; here that is counted: datagrams_shed_total by
// reason ("kernel": the socket's receive buffer was full; "forwarding": that of a slot's; "busy": more than `concurrency`
// handlers are at work; "truncated": longer than `largest`).
//
// Handlers run in the event loop of the worker. One that throws is logged as `datagram_failed`, at most once a second.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "signalbox/bytes.hpp"

namespace signalbox {

template <class T>
using awaitable = boost::asio::awaitable<T>;

namespace server {
struct DatagramOrigin;  ///< where a datagram came from, and where to
}

/// One datagram, and the way back. A handler that is a coroutine owns it; in a plain function it lives for the call.
class Datagram {
public:
    /// For the server.
    Datagram(std::vector<std::byte> bytes, std::shared_ptr<const server::DatagramOrigin> origin)
        : bytes_(std::move(bytes)), origin_(std::move(origin)) {}

    std::span<const std::byte> bytes() const { return bytes_; }
    std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

    /// "192.0.2.7:5060", "[2001:db8::7]:5060", "unix:/run/client.sock", or "unix" for a client without a name.
    std::string peer() const;

    /// Sends to the peer, from the address that the datagram was sent to. False if it could not be sent now: the socket's
    /// buffer is full, or there is nobody to answer (a unix client without a name, or one that has gone).
    bool reply(std::span<const std::byte> bytes) const;
    bool reply(std::string_view text) const { return reply(std::as_bytes(std::span(text))); }

private:
    std::vector<std::byte> bytes_;
    std::shared_ptr<const server::DatagramOrigin> origin_;
};

/// A plain function, or a coroutine: `awaitable<void>(Datagram)`.
class DatagramHandler {
public:
    using Plain = std::function<void(const Datagram&)>;
    using Coroutine = std::function<awaitable<void>(Datagram)>;

    template <class Function>
    requires(!std::is_same_v<std::remove_cvref_t<Function>, DatagramHandler>)
        DatagramHandler(Function handler) {
        if constexpr (std::is_invocable_r_v<awaitable<void>, Function, Datagram>)
            function_ = Coroutine(std::move(handler));
        else
            function_ = Plain(std::move(handler));
    }
    const std::variant<Plain, Coroutine>& function() const { return function_; }

private:
    std::variant<Plain, Coroutine> function_;
};

/// Finds what names the dialogue that a datagram belongs to: a part of it, or an empty view: whoever receives it handles it.
/// Called with whatever the network sends; it must not throw.
using DatagramKey = std::function<std::string_view(std::span<const std::byte>)>;

/// The Call-ID of a SIP message (RFC 3261, sections 7.3.1 and 20.8): of the field named "Call-ID" or "i", in any case,
/// without the white space around it. Empty if there is none.
std::string_view sip_call_id(std::span<const std::byte> message);

struct DatagramOptions {
    DatagramKey key{};           ///< none: whoever receives a datagram handles it
    unsigned concurrency = 256;  ///< coroutines at work in each worker; what comes beyond is shed
    Bytes largest{8 * 1024};     ///< of a datagram; a longer one is refused, never cut
    Bytes receive_buffer{0};     ///< SO_RCVBUF, within net.core.rmem_max; 0: the kernel's default
};

}  // namespace signalbox
