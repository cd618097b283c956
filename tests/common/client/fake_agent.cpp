#include "tests/common/client/fake_agent.hpp"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

namespace signalbox::client {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using LocalSocket = asio::local::stream_protocol::socket;
using TlsStream = asio::ssl::stream<tcp::socket>;

struct FakeAgent::Connection {
    virtual ~Connection() = default;
    virtual void send(const std::string& bytes, bool binary) = 0;
    virtual void drop() = 0;
};

struct FakeAgent::State {
    explicit State(asio::io_context& io, FakeAgent& owner) : local(io), network(io), agent(&owner) {}
    asio::local::stream_protocol::acceptor local;
    tcp::acceptor network;
    std::optional<asio::ssl::context> tls;
    FakeAgent* agent;  ///< none once it is gone
    std::vector<std::shared_ptr<Connection>> connections;
};

namespace {

asio::awaitable<void> shake_hands(LocalSocket&) {
    co_return;
}
asio::awaitable<void> shake_hands(TlsStream& stream) {
    co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
}

template <typename Stream>
struct ConnectionOver : FakeAgent::Connection {
    explicit ConnectionOver(Stream stream) : socket(std::move(stream)) {}
    websocket::stream<Stream> socket;

    void send(const std::string& bytes, bool binary) override {
        beast::error_code ignored;
        socket.binary(binary);
        socket.write(asio::buffer(bytes), ignored);
    }
    void drop() override {
        beast::error_code ignored;
        beast::get_lowest_layer(socket).close(ignored);
    }
};

template <typename Stream>
asio::awaitable<void> converse(std::shared_ptr<FakeAgent::State> state,
                               std::shared_ptr<ConnectionOver<Stream>> peer) {
    auto& socket = peer->socket;
    co_await shake_hands(socket.next_layer());
    beast::flat_buffer buffer;
    http::request<http::string_body> upgrade;
    co_await http::async_read(socket.next_layer(), buffer, upgrade, asio::use_awaitable);
    if (!state->agent) co_return;
    ++state->agent->upgrades;
    const FakeAgent::Manners manners = state->agent->manners;
    if (manners.decline_with != 0) {
        http::response<http::string_body> refusal(static_cast<http::status>(manners.decline_with), 11);
        refusal.body() = "use signalbox.v1\n";
        refusal.prepare_payload();
        co_await http::async_write(socket.next_layer(), refusal, asio::use_awaitable);
        co_return;
    }
    socket.set_option(
        websocket::stream_base::decorator([subprotocol = manners.subprotocol](websocket::response_type& r) {
            if (!subprotocol.empty()) r.set(http::field::sec_websocket_protocol, subprotocol);
        }));
    co_await socket.async_accept(upgrade, asio::use_awaitable);
    if (manners.says_hello) {
        const nlohmann::json hello = {{"jsonrpc", "2.0"}, {"method", "hello"}, {"params", manners.hello}};
        peer->send(hello.dump(), false);
    }
    for (;;) {
        beast::flat_buffer frame;
        co_await socket.async_read(frame, asio::use_awaitable);
        if (!state->agent) co_return;
        const auto request = nlohmann::json::parse(beast::buffers_to_string(frame.data()));
        state->agent->requests.push_back(request);
        auto response = state->agent->answer ? state->agent->answer(request)
                                             : nlohmann::json{{"result", nlohmann::json::object()}};
        if (!response) continue;
        (*response)["jsonrpc"] = "2.0";
        (*response)["id"] = request.at("id");
        peer->send(response->dump(), false);
    }
}

template <typename Stream, typename Acceptor, typename MakeStream>
asio::awaitable<void> accept(std::shared_ptr<FakeAgent::State> state, Acceptor& acceptor,
                             MakeStream make_stream) {
    for (;;) {
        auto socket = co_await acceptor.async_accept(asio::use_awaitable);
        auto peer = std::make_shared<ConnectionOver<Stream>>(make_stream(std::move(socket)));
        state->connections.push_back(peer);
        asio::co_spawn(acceptor.get_executor(), converse(state, peer), asio::detached);
    }
}

}  // namespace

FakeAgent::FakeAgent(asio::io_context& io, const std::string& path)
    : state_(std::make_shared<State>(io, *this)) {
    const asio::local::stream_protocol::endpoint endpoint(path);
    state_->local.open(endpoint.protocol());
    state_->local.bind(endpoint);
    state_->local.listen();
    const auto as_it_is = [](LocalSocket socket) { return socket; };
    asio::co_spawn(io, accept<LocalSocket>(state_, state_->local, as_it_is), asio::detached);
}

FakeAgent::FakeAgent(asio::io_context& io, asio::ssl::context tls)
    : state_(std::make_shared<State>(io, *this)) {
    const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), 0);
    state_->tls.emplace(std::move(tls));
    state_->network.open(endpoint.protocol());
    state_->network.bind(endpoint);
    state_->network.listen();
    const auto with_tls = [state = state_.get()](tcp::socket socket) {
        return TlsStream(std::move(socket), *state->tls);
    };
    asio::co_spawn(io, accept<TlsStream>(state_, state_->network, with_tls), asio::detached);
}

FakeAgent::~FakeAgent() {
    state_->agent = nullptr;
    state_->local.close();
    state_->network.close();
    drop_connections();
}

std::uint16_t FakeAgent::port() const {
    return state_->network.local_endpoint().port();
}
void FakeAgent::send_text(const std::string& text) {
    state_->connections.back()->send(text, false);
}
void FakeAgent::send_binary(const std::string& frame) {
    state_->connections.back()->send(frame, true);
}
void FakeAgent::drop_connections() {
    for (const auto& connection : state_->connections)
        connection->drop();
    state_->connections.clear();
}

}  // namespace signalbox::client
