// One accepted connection: who it is, then HTTP requests until it closes or becomes a StreamSession.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <string>

#include "agent/service/authorizer.hpp"
#include "agent/service/pages.hpp"
#include "agent/service/peer_stream.hpp"
#include "agent/service/rpc.hpp"

namespace signalbox::service {

/// What all connections share. The service owns it all.
struct Site {
    const telemetry::SegmentView& view;
    Feeds& feeds;
    const Authorizer& authorizer;
    Rpc& rpc;
    Pages& pages;
    std::function<void()> feeds_changed;  ///< the next due time may be another now
};

class Connection : public std::enable_shared_from_this<Connection> {
public:
    /// `place` is given back when the connection, or the session that it becomes, ends.
    Connection(PeerStream stream, Site& site, std::shared_ptr<void> place);

    /// Serves; keeps itself alive.
    void start();

private:
    using Request = boost::beast::http::request<boost::beast::http::string_body>;
    using Response = boost::beast::http::response<boost::beast::http::string_body>;
    template <class T>
    using awaitable = boost::asio::awaitable<T>;

    awaitable<void> serve();
    awaitable<bool> identify();
    awaitable<bool> answer(Request request);
    awaitable<Response> respond(const Request& request);
    awaitable<Response> rpc(const Request& request);
    void become_stream(Request request);
    std::string hello() const;
    /// Closes the connection unless it is called again within that time.
    void set_deadline(std::chrono::seconds within);

    PeerStream stream_;
    Site& site_;
    std::shared_ptr<void> place_;
    Principal principal_;
    boost::beast::flat_buffer buffer_;
    boost::asio::steady_timer deadline_;
};

}  // namespace signalbox::service
