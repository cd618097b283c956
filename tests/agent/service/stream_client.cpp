#include "tests/agent/service/stream_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <stdexcept>

#include "common/wire/codec.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

struct StreamClient::Impl {
    explicit Impl(asio::local::stream_protocol::socket socket) : stream(std::move(socket)) {
        const timeval patience{20, 0};
        ::setsockopt(stream.next_layer().native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience,
                     sizeof patience);
        stream.read_message_max(0);
    }
    void handshake(const std::string& subprotocol) {
        stream.set_option(websocket::stream_base::decorator([&](websocket::request_type& request) {
            if (!subprotocol.empty()) request.set(beast::http::field::sec_websocket_protocol, subprotocol);
        }));
        websocket::response_type response;
        boost::system::error_code error;
        stream.handshake(response, "localhost", "/stream", error);
        if (error == websocket::error::upgrade_declined)
            throw std::runtime_error(std::to_string(response.result_int()));
        if (error) throw std::runtime_error(error.message());
        if (response[beast::http::field::sec_websocket_protocol] != "signalbox.v1")
            throw std::runtime_error("the agent did not confirm the subprotocol");
    }
    websocket::stream<asio::local::stream_protocol::socket> stream;
};

namespace {
asio::io_context& io() {
    static asio::io_context context;
    return context;
}
}  // namespace

StreamClient::StreamClient(const std::string& path, const std::string& subprotocol) {
    asio::local::stream_protocol::socket socket(io());
    socket.connect(asio::local::stream_protocol::endpoint(path));
    impl_ = std::make_unique<Impl>(std::move(socket));
    impl_->handshake(subprotocol);
}

StreamClient::StreamClient(int descriptor) {
    asio::local::stream_protocol::socket socket(io(), asio::local::stream_protocol(), descriptor);
    impl_ = std::make_unique<Impl>(std::move(socket));
    impl_->handshake("signalbox.v1");
}

StreamClient::~StreamClient() = default;

void StreamClient::send(const nlohmann::json& request) {
    send_text(request.dump());
}

void StreamClient::send_text(const std::string& text) {
    impl_->stream.text(true);
    impl_->stream.write(asio::buffer(text));
}

StreamClient::Message StreamClient::receive() {
    beast::flat_buffer buffer;
    impl_->stream.read(buffer);
    const std::string bytes = beast::buffers_to_string(buffer.data());
    if (impl_->stream.got_text()) return nlohmann::json::parse(bytes);
    signalbox::wire::Decoded decoded = signalbox::wire::decode(bytes);
    if (!decoded) throw std::runtime_error(decoded.error);
    return std::move(*decoded.message);
}

nlohmann::json StreamClient::receive_json() {
    for (;;) {
        Message message = receive();
        if (auto* text = std::get_if<nlohmann::json>(&message)) return std::move(*text);
    }
}
