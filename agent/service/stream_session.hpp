// One client of GET /stream: JSON-RPC in and out, telemetry frames out.
//
// What is sent waits in a bounded queue. A tick that does not fit is dropped whole; when even what may not be
// lost does not fit, the client is too slow to serve and is disconnected.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <memory>
#include <string>

#include "agent/service/authorizer.hpp"
#include "agent/service/feeds.hpp"
#include "agent/service/peer_stream.hpp"
#include "agent/service/rpc.hpp"

namespace signalbox::service {

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;

/// Does the request offer a subprotocol that we speak?
bool offers_our_protocol(const HttpRequest& request);

class StreamSession final : public Subscriber,
                            public Stream,
                            public std::enable_shared_from_this<StreamSession> {
public:
    static constexpr std::size_t kMessageLimit = std::size_t{1} << 20;
    static constexpr std::size_t kQueueLimit = std::size_t{8} << 20;  ///< with a tick more it is dropped
    static constexpr std::size_t kHardLimit = std::size_t{32}
                                              << 20;  ///< beyond it the client is disconnected

    /// `place` is given back when the session ends.
    StreamSession(PeerStream stream, Principal principal, Rpc& rpc, Feeds& feeds, std::shared_ptr<void> place,
                  std::function<void()> feeds_changed);
    ~StreamSession() override;

    /// Accepts the upgrade and says `hello`, a JSON-RPC notification.
    void run(HttpRequest request, std::string hello);

    void deliver(const Frame& frame, Loss loss) override;
    Opening subscribe(const Subscription& subscription) override;
    void send(Opening opening) override;
    void unsubscribe() override;

private:
    struct Outgoing {
        Opening::Item item;
        bool text = false;
    };
    void read_next();
    void on_read(const boost::system::error_code& error);
    void send_text(std::string text);
    void enqueue(Outgoing outgoing);
    void write_next();
    void end();

    boost::beast::websocket::stream<PeerStream> websocket_;
    Principal principal_;
    Rpc& rpc_;
    Feeds& feeds_;
    std::shared_ptr<void> place_;
    std::function<void()> feeds_changed_;

    boost::beast::flat_buffer incoming_;
    std::deque<Outgoing> outbox_;
    std::size_t queued_bytes_ = 0;  ///< of what is in the outbox and not shared with the history
    Outgoing writing_;
    bool is_open_ = false;
    bool is_writing_ = false;
    bool ended_ = false;
};

}  // namespace signalbox::service
