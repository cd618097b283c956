// The one translation unit that compiles Beast's WebSocket for servers.
//
// A read that Beast has begun goes on until a message is whole, whether or not somebody waits for it; a write owns what it
// sends. So a coroutine that waits for either can be cancelled at any time.
#include "agent/server/websocket_core.hpp"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <boost/system/system_error.hpp>

#include "agent/server/gate.hpp"

namespace signalbox::detail {

namespace {

namespace beast = boost::beast;
namespace websocket = beast::websocket;
using server::WorkerContext;
using telemetry::ConnectionState;

constexpr std::size_t kMostReason = 123;  // RFC 6455, section 5.5: 125 bytes, with the code

beast::http::request<beast::http::string_body> handshake_of(const Request& request) {
    beast::http::request<beast::http::string_body> copy;
    copy.method(beast::http::verb::get);
    copy.target(request.target);
    copy.version(request.version);
    for (const Headers::Field& field : request.headers)
        copy.insert(field.name, field.value);
    return copy;
}

}  // namespace

class WebSocketCore final : public server::HandledConnection {
public:
    WebSocketCore(WorkerContext& context, std::shared_ptr<server::HandlerSite> site,
                  std::shared_ptr<const WebSocketEndpoint> endpoint, Request request,
                  server::UpgradedStream stream)
        : HandledConnection(context, std::move(site), request.peer),
          endpoint_(std::move(endpoint)),
          request_(std::move(request)),
          protocol_(server::choose_subprotocol(request_, options())),
          socket_(std::move(stream)),
          input_gate_(context.io.get_executor()),
          output_gate_(context.io.get_executor()),
          drain_gate_(context.io.get_executor()) {
        socket_.set_option(websocket::stream_base::timeout{options().close, options().idle, true});
        socket_.read_message_max(static_cast<std::size_t>(options().message));
        socket_.auto_fragment(false);
        if (protocol_.empty()) return;
        socket_.set_option(websocket::stream_base::decorator([this](websocket::response_type& response) {
            response.set(beast::http::field::sec_websocket_protocol, protocol_);
        }));
    }

    void start(std::uint64_t now) {
        shown_.begin_request("WebSocket " + request_.path.substr(0, 30));
        shown_.enter(ConnectionState::writing, now);
        const auto handshake =
            std::make_shared<const beast::http::request<beast::http::string_body>>(handshake_of(request_));
        socket_.async_accept(*handshake, [self = self(), handshake](error_code ec) {
            ec ? self->fail(ec) : self->listen();
            self->begin(telemetry::monotonic_ns());
        });
    }

    awaitable<std::optional<WebSocketMessage>> read() {
        const auto self = shared_from_this();
        incoming_.consume(std::exchange(taken_, 0));
        for (;;) {
            if (std::exchange(message_is_there_, false)) {
                taken_ = incoming_.size();
                show(ConnectionState::handling);
                const auto data = incoming_.cdata();
                co_return WebSocketMessage{{static_cast<const char*>(data.data()), data.size()},
                                           socket_.got_text()};
            }
            if (over_ || closing_ || context_.draining) co_return std::nullopt;
            listen();
            show(ConnectionState::idle);
            co_await input_gate_.wait();
            // Who is cancelled in this very moment must not take a message along.
            const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
            if (cancellation.cancelled() != boost::asio::cancellation_type::none)
                throw boost::system::system_error(boost::asio::error::operation_aborted);
        }
    }

    awaitable<void> write(std::string_view bytes, bool text) {
        const auto self = shared_from_this();
        while (writing_)
            co_await output_gate_.wait();
        throw_if_over();
        writing_ = true;
        outgoing_.assign(bytes);
        socket_.text(text);
        show(ConnectionState::writing);
        context_.deadlines.set(*this, telemetry::monotonic_ns(), options().write);
        const std::uint64_t mine = ++writes_;
        socket_.async_write(
            boost::asio::buffer(outgoing_),
            [self = this->self()](error_code ec, std::size_t sent) { self->written(ec, sent); });
        while (written_ < mine && !over_)
            co_await output_gate_.wait();
        if (written_ < mine) throw_if_over();
    }

    void close(std::uint16_t code, std::string_view reason) {
        if (closing_ || over_) return;
        closing_ = true;
        input_gate_.open();
        websocket::close_reason why(code);
        why.reason.assign(reason.data(), std::min(reason.size(), kMostReason));
        // Who reads goes on reading, into a buffer that nobody looks at: Beast takes the client's close from it.
        socket_.async_close(
            why, [self = self()](error_code ec) { self->fail(ec ? ec : websocket::error::closed); });
    }

    awaitable<void> until_draining() {
        const auto self = shared_from_this();
        while (!context_.draining && !over_)
            co_await drain_gate_.wait();
        if (!context_.draining) throw_if_over();
    }

    const std::string& protocol() const { return protocol_; }

    void begin_request(std::string_view what) {
        context_.seat.count_request();
        if (is_closed()) return;
        shown_.begin_request(what);
        shown_.count_request();
    }

    /// Of a write.
    void deadline_passed(std::uint64_t) override {
        const auto self = shared_from_this();
        fail(boost::asio::error::timed_out);
    }
    void close_if_idle(std::uint64_t, std::chrono::nanoseconds) override {
        input_gate_.open();
        drain_gate_.open();
    }

private:
    using error_code = boost::system::error_code;

    std::shared_ptr<WebSocketCore> self() {
        return std::static_pointer_cast<WebSocketCore>(shared_from_this());
    }
    const WebSocketOptions& options() const { return endpoint_->options; }

    awaitable<void> handle() override {
        WebSocket socket(self());
        if (over_) co_return;  // in the handshake
        awaitable<void> handling = endpoint_->handler(request_, std::move(socket));
        co_await std::move(handling);
    }
    void finish(const std::exception_ptr& failure) override {
        if (failure)
            close(websocket::close_code::internal_error, {});
        else
            close(context_.draining ? websocket::close_code::going_away : websocket::close_code::normal, {});
    }
    server::End whose_fault() const override {
        return over_ == boost::asio::error::timed_out ? server::End::deadline
               : over_ || closing_                    ? server::End::client
                                                      : server::End::handler;
    }

    void show(ConnectionState state) {
        if (!is_closed()) shown_.enter(state, telemetry::monotonic_ns());
    }

    /// Also while nobody reads, so that pings are answered and the client's end is noticed: one message ahead.
    void listen() {
        if (std::exchange(reading_, true)) return;
        socket_.async_read(incoming_,
                           [self = self()](error_code ec, std::size_t bytes) { self->arrived(ec, bytes); });
    }

    void arrived(error_code ec, std::size_t bytes) {
        reading_ = false;
        if (ec && closing_) return;  // async_close() says how that ends
        if (ec) return fail(ec);
        if (!is_closed()) shown_.received(bytes);
        message_is_there_ = true;
        input_gate_.open();
    }

    void written(error_code ec, std::size_t sent) {
        writing_ = false;
        if (ec || is_closed()) return fail(ec);
        shown_.sent(sent);
        show(ConnectionState::handling);
        context_.deadlines.clear(*this);
        ++written_;
        output_gate_.open();
    }

    void throw_if_over() const {
        if (over_) throw boost::system::system_error(over_);
        if (closing_) throw boost::system::system_error(websocket::error::closed);
    }

    /// Nothing more can be read or written.
    void fail(error_code why) {
        if (over_) return;
        over_ = why;
        if (why != boost::asio::error::timed_out &&
            why != beast::error::timeout) {  // what was said last is read
            if (const int descriptor = socket_.next_layer().release(); descriptor >= 0)
                context_.lingering.add(descriptor, telemetry::monotonic_ns());
        } else {
            socket_.next_layer().close();
        }
        input_gate_.open();
        output_gate_.open();
        drain_gate_.open();
        closed();
    }

    const std::shared_ptr<const WebSocketEndpoint> endpoint_;
    const Request request_;
    const std::string protocol_;
    websocket::stream<server::UpgradedStream, false> socket_;
    server::Gate input_gate_;
    server::Gate output_gate_;
    server::Gate drain_gate_;
    beast::flat_buffer incoming_;
    std::string outgoing_;
    error_code over_;
    std::size_t taken_ = 0;     ///< of incoming_, by who still looks at it
    std::uint64_t writes_ = 0;  ///< begun
    std::uint64_t written_ = 0;
    bool reading_ = false;  ///< Beast does
    bool message_is_there_ = false;
    bool writing_ = false;
    bool closing_ = false;
};

}  // namespace signalbox::detail

namespace signalbox::server {

void serve_websocket(WorkerContext& context, std::shared_ptr<HandlerSite> site,
                     std::shared_ptr<const WebSocketEndpoint> endpoint, Request request,
                     UpgradedStream stream) {
    std::make_shared<detail::WebSocketCore>(context, std::move(site), std::move(endpoint), std::move(request),
                                            std::move(stream))
        ->start(telemetry::monotonic_ns());
}

}  // namespace signalbox::server

namespace signalbox {

WebSocket::WebSocket(std::shared_ptr<detail::WebSocketCore> core) noexcept : core_(std::move(core)) {}

WebSocket::WebSocket(WebSocket&&) noexcept = default;

WebSocket& WebSocket::operator=(WebSocket&& other) noexcept {
    if (core_ && core_ != other.core_) core_->drop();
    core_ = std::move(other.core_);
    return *this;
}

WebSocket::~WebSocket() {
    if (core_) core_->drop();
}

awaitable<std::optional<WebSocketMessage>> WebSocket::read() {
    return core_->read();
}

awaitable<void> WebSocket::write(std::string_view text) {
    return core_->write(text, true);
}

awaitable<void> WebSocket::write_binary(std::string_view bytes) {
    return core_->write(bytes, false);
}

void WebSocket::close(std::uint16_t code, std::string_view reason) {
    core_->close(code, reason);
}

bool WebSocket::draining() const {
    return core_->draining();
}

awaitable<void> WebSocket::until_draining() {
    return core_->until_draining();
}

const std::string& WebSocket::protocol() const {
    return core_->protocol();
}

void WebSocket::begin_request(std::string_view what) {
    core_->begin_request(what);
}

}  // namespace signalbox
