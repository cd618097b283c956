#include "agent/service/connection.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/service/stream_session.hpp"
#include "agent/service/tls.hpp"
#include "common/wire/utf8.hpp"

// GCC 12: no lambda that captures stands inside a co_await expression here.

namespace signalbox::service {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kRequestLimit = std::size_t{1} << 20;
constexpr std::uint32_t kHeaderLimit = 16 * 1024;
constexpr auto kHandshakeDeadline = 10s;
constexpr auto kRequestDeadline = 60s;  // also the longest idle time between requests
constexpr auto kAnswerDeadline = 30s;

auto use(error_code& error) {
    return asio::redirect_error(asio::use_awaitable, error);
}

using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

std::string path_of(const Request& request) {
    const std::string_view target(request.target().data(), request.target().size());
    return std::string(target.substr(0, target.find('?')));
}

Response text_response(http::status status, std::string body) {
    Response response(status, 11);
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    response.body() = std::move(body);
    return response;
}

Response method_not_allowed(std::string_view allow) {
    Response response = text_response(http::status::method_not_allowed, "This is not how to ask for it.\n");
    response.set(http::field::allow, allow);
    return response;
}

/// Two framings in one request, or an unknown one, is how requests are smuggled; Beast lets some through.
bool is_framed_strangely(const Request& request) {
    const auto codings = request.equal_range(http::field::transfer_encoding);
    if (codings.first == codings.second) return false;
    return std::next(codings.first) != codings.second || !beast::iequals(codings.first->value(), "chunked") ||
           request.find(http::field::content_length) != request.end();
}

/// A browser says which site's script makes it ask. Only our own may: the client certificate is the user's,
/// not the script's.
bool is_from_another_site(const Request& request) {
    const auto origin = request.find(http::field::origin);
    if (origin == request.end()) return false;
    const std::string host = std::string(request[http::field::host]);
    return origin->value() != "https://" + host && origin->value() != "http://" + host;
}

/// A reply that comes later than the function that asks for it may live.
struct Awaited {
    explicit Awaited(const PeerStream::executor_type& executor)
        : wake(executor, asio::steady_timer::time_point::max()) {}
    asio::steady_timer wake;
    bool arrived = false;
    std::string reply;
};

}  // namespace

Connection::Connection(PeerStream stream, Site& site, std::shared_ptr<void> place)
    : stream_(std::move(stream)),
      site_(site),
      place_(std::move(place)),
      buffer_(kRequestLimit + kHeaderLimit),
      deadline_(stream_.get_executor()) {}

void Connection::start() {
    asio::co_spawn(stream_.get_executor(), serve(), asio::detached);
}

void Connection::set_deadline(std::chrono::seconds within) {
    deadline_.expires_after(within);
    deadline_.async_wait([weak = weak_from_this()](const error_code& error) {
        const auto self = weak.lock();
        if (!error && self && self->deadline_.expiry() <= Clock::now()) self->stream_.close();
    });
}

asio::awaitable<void> Connection::serve() {
    const auto self = shared_from_this();
    const bool identified = co_await identify();
    if (!identified) {
        stream_.close();
        co_return;
    }
    for (bool more = true; more;) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(kHeaderLimit);
        parser.body_limit(kRequestLimit);
        set_deadline(kRequestDeadline);
        error_code error;
        co_await http::async_read(stream_, buffer_, parser, use(error));
        if (error == http::error::end_of_stream || error == asio::error::operation_aborted) break;
        set_deadline(kAnswerDeadline);
        if (error) {
            // Only what is malformed HTTP is worth an answer; a broken connection is not.
            if (error.category() != make_error_code(http::error::bad_method).category()) break;
            Response refusal =
                text_response(error == http::error::body_limit ? http::status::payload_too_large
                                                               : http::status::bad_request,
                              error.message() + "\n");
            refusal.keep_alive(false);
            refusal.prepare_payload();
            co_await http::async_write(stream_, refusal, use(error));
            break;
        }
        more = co_await answer(parser.release());
    }
    deadline_.cancel();
    stream_.close();
}

asio::awaitable<bool> Connection::identify() {
    if (!stream_.tls()) {
        ucred peer{};
        socklen_t size = sizeof peer;
        if (::getsockopt(stream_.socket().native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
            co_return false;
        const auto principal = site_.authorizer.unix_peer(peer.uid);
        if (principal) principal_ = *principal;
        co_return principal.has_value();
    }
    set_deadline(kHandshakeDeadline);
    error_code error;
    co_await stream_.tls()->async_handshake(asio::ssl::stream_base::server, use(error));
    if (error) co_return false;
    const auto name = peer_common_name(stream_.tls()->native_handle());
    if (name) principal_ = site_.authorizer.tls_peer(*name);
    co_return name.has_value();
}

/// False when the connection is over, or has become a stream.
asio::awaitable<bool> Connection::answer(Request request) {
    const bool head = request.method() == http::verb::head;
    const bool keep_alive = request.keep_alive() && !is_framed_strangely(request);
    Response response = co_await respond(request);
    if (response.result() == http::status::switching_protocols) {
        become_stream(std::move(request));
        co_return false;
    }
    response.version(request.version());
    response.set(http::field::server, "signalbox");
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Content-Security-Policy",
                 "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    response.keep_alive(keep_alive);
    if (response.result() != http::status::no_content) response.content_length(response.body().size());
    if (head) response.body().clear();
    set_deadline(kAnswerDeadline);
    error_code error;
    co_await http::async_write(stream_, response, use(error));
    co_return keep_alive && !error;
}

asio::awaitable<Response> Connection::respond(const Request& request) {
    if (is_framed_strangely(request))
        co_return text_response(http::status::bad_request, "The request's length is not clear.\n");
    const std::string path = path_of(request);
    const bool get = request.method() == http::verb::get || request.method() == http::verb::head;
    const bool post = request.method() == http::verb::post;
    const std::string method = get ? "GET" : std::string(request.method_string());
    switch (site_.authorizer.decide(principal_, method + " " + path)) {
        case Decision::denied:
            co_return text_response(http::status::forbidden, principal_.name + " may not see this.\n");
        case Decision::unknown:
            if (site_.authorizer.decide(principal_, "GET " + path) != Decision::unknown)
                co_return method_not_allowed("GET, HEAD");
            if (site_.authorizer.decide(principal_, "POST " + path) != Decision::unknown)
                co_return method_not_allowed("POST");
            co_return text_response(http::status::not_found, "There is no such page.\n");
        case Decision::allowed:
            break;
    }
    if ((post || path == "/stream") && is_from_another_site(request))
        co_return text_response(http::status::forbidden, "Scripts of other sites may not ask.\n");
    if (post) co_return co_await rpc(request);
    if (path == "/stream") {
        if (!beast::websocket::is_upgrade(request)) {
            Response response =
                text_response(http::status::upgrade_required, "This is a WebSocket endpoint.\n");
            response.set(http::field::upgrade, "websocket");
            co_return response;
        }
        if (!offers_our_protocol(request))
            co_return text_response(http::status::bad_request,
                                    "The subprotocol must be " + std::string(wire::kSubprotocol) + ".\n");
        co_return Response(http::status::switching_protocols, 11);
    }
    auto page = site_.pages.get(path);
    if (!page) co_return text_response(http::status::not_found, "There is no such page.\n");
    Response response(http::status::ok, 11);
    response.set(http::field::content_type, page->content_type);
    response.body() = std::move(page->body);
    co_return response;
}

asio::awaitable<Response> Connection::rpc(const Request& request) {
    const auto awaited = std::make_shared<Awaited>(stream_.get_executor());
    auto take = [awaited](std::string reply) {
        awaited->reply = std::move(reply);
        awaited->arrived = true;
        awaited->wake.cancel();
    };
    site_.rpc.handle(principal_, request.body(), nullptr, take);
    if (!awaited->arrived) {
        error_code ignored;
        co_await awaited->wake.async_wait(use(ignored));
    }
    if (awaited->reply.empty()) co_return Response(http::status::no_content, 11);
    Response response(http::status::ok, 11);
    response.set(http::field::content_type, "application/json");
    response.body() = std::move(awaited->reply);
    co_return response;
}

void Connection::become_stream(Request request) {
    deadline_.cancel();
    std::make_shared<StreamSession>(std::move(stream_), principal_, site_.rpc, site_.feeds, std::move(place_),
                                    site_.feeds_changed)
        ->run(std::move(request), hello());
}

std::string Connection::hello() const {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    const nlohmann::json notification = {{"jsonrpc", "2.0"},
                                         {"method", "hello"},
                                         {"params",
                                          {{"protocol", wire::kProtocolVersion},
                                           {"group", wire::to_utf8(site_.view.group_name())},
                                           {"host", wire::to_utf8(host.data())},
                                           {"version", SIGNALBOX_VERSION},
                                           {"boot_id", site_.view.boot_id()},
                                           {"arbiter_pid", site_.view.group().arbiter_pid},
                                           {"agent_pid", static_cast<std::uint32_t>(::getpid())},
                                           {"may_act", principal_.may_act()}}}};
    return notification.dump();
}

}  // namespace signalbox::service
