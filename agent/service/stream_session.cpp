#include "agent/service/stream_session.hpp"

#include <boost/asio/post.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <utility>

namespace signalbox::service {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;

bool offers_our_protocol(const HttpRequest& request) {
    const auto fields = request.equal_range(beast::http::field::sec_websocket_protocol);
    for (auto field = fields.first; field != fields.second; ++field)
        if (beast::http::token_list(field->value()).exists(wire::kSubprotocol)) return true;
    return false;
}

StreamSession::StreamSession(PeerStream stream, Principal principal, Rpc& rpc, Feeds& feeds,
                             std::shared_ptr<void> place, std::function<void()> feeds_changed)
    : websocket_(std::move(stream)),
      principal_(std::move(principal)),
      rpc_(rpc),
      feeds_(feeds),
      place_(std::move(place)),
      feeds_changed_(std::move(feeds_changed)) {
    // Pings after half of the idle time; a peer that is silent for all of it is given up.
    websocket_.set_option(
        websocket::stream_base::timeout{std::chrono::seconds(10), std::chrono::seconds(15), true});
    websocket_.set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
        response.set(beast::http::field::sec_websocket_protocol, wire::kSubprotocol);
        response.set(beast::http::field::server, "signalbox");
    }));
    websocket_.read_message_max(kMessageLimit);
    websocket_.auto_fragment(false);
}

StreamSession::~StreamSession() {
    feeds_.unsubscribe(*this);
}

void StreamSession::run(HttpRequest request, std::string hello) {
    // The request must live until the handshake is done.
    auto kept = std::make_shared<HttpRequest>(std::move(request));
    websocket_.async_accept(
        *kept, [self = shared_from_this(), kept, hello = std::move(hello)](const error_code& error) mutable {
            if (error) return self->end();
            self->is_open_ = true;
            self->send_text(std::move(hello));
            self->read_next();
        });
}

void StreamSession::read_next() {
    websocket_.async_read(incoming_, [self = shared_from_this()](const error_code& error, std::size_t) {
        self->on_read(error);
    });
}

void StreamSession::on_read(const error_code& error) {
    if (error || ended_) return end();
    if (!websocket_.got_text()) {
        websocket_.async_close(websocket::close_code::unknown_data,
                               [self = shared_from_this()](const error_code&) { self->end(); });
        return;
    }
    const std::string text = beast::buffers_to_string(incoming_.data());
    incoming_.consume(incoming_.size());
    rpc_.handle(principal_, text, this, [weak = weak_from_this()](std::string reply) {
        if (const auto self = weak.lock(); self && !reply.empty()) self->send_text(std::move(reply));
    });
    read_next();
}

Opening StreamSession::subscribe(const Subscription& subscription) {
    Opening opening = feeds_.subscribe(*this, subscription, Clock::now());
    feeds_changed_();
    return opening;
}

void StreamSession::send(Opening opening) {
    for (Opening::Item& item : opening.frames)
        enqueue({std::move(item), false});
}

void StreamSession::unsubscribe() {
    feeds_.unsubscribe(*this);
    feeds_changed_();
}

void StreamSession::deliver(const Frame& frame, Loss loss) {
    if (loss == Loss::allowed && queued_bytes_ + frame.size() > kQueueLimit) return;
    enqueue({{frame, {}}, false});
}

void StreamSession::send_text(std::string text) {
    enqueue({{Frame(std::move(text)), {}}, true});
}

void StreamSession::enqueue(Outgoing outgoing) {
    if (ended_ || !is_open_) return;
    if (!outgoing.item.reshape_to) queued_bytes_ += outgoing.item.frame.size();
    outbox_.push_back(std::move(outgoing));
    // Later, since whoever enqueues may be in the middle of the feeds.
    if (queued_bytes_ > kHardLimit)
        return asio::post(websocket_.get_executor(), [self = shared_from_this()] { self->end(); });
    if (!is_writing_) {
        is_writing_ = true;
        asio::post(websocket_.get_executor(), [self = shared_from_this()] { self->write_next(); });
    }
}

void StreamSession::write_next() {
    if (ended_ || outbox_.empty()) {
        is_writing_ = false;
        return;
    }
    writing_ = std::move(outbox_.front());
    outbox_.pop_front();
    if (writing_.item.reshape_to)
        writing_.item.frame = feeds_.reshape(writing_.item.frame, *writing_.item.reshape_to);
    else
        queued_bytes_ -= writing_.item.frame.size();
    websocket_.text(writing_.text);
    websocket_.async_write(asio::buffer(writing_.item.frame.text()),
                           [self = shared_from_this()](const error_code& error, std::size_t) {
                               if (error) return self->end();
                               self->write_next();
                           });
}

void StreamSession::end() {
    if (std::exchange(ended_, true)) return;
    unsubscribe();
    outbox_.clear();
    queued_bytes_ = 0;
    websocket_.next_layer().close();
}

}  // namespace signalbox::service
