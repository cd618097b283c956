#include "common/client/session.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <cmath>
#include <deque>
#include <exception>
#include <random>

#include "common/client/explain.hpp"
#include "common/client/pending_calls.hpp"
#include "common/client/rpc.hpp"
#include "common/client/transport.hpp"
#include "common/wire/codec.hpp"

namespace signalbox::client {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

/// A peer that has not been heard of for this long is given up; half-way there it is sent a ping.
constexpr std::chrono::seconds kIdleTimeout{15};

/// One WebSocket, from the first attempt to connect to its end; never used again.
struct Link {
    explicit Link(asio::io_context& io) : socket(io) {}
    websocket::stream<Transport, false> socket;
    std::deque<std::string> outgoing;  ///< the first is being written
    std::string failure;               ///< why we gave it up, when that is not what an operation reports
    void give_up(std::string why) {
        failure = std::move(why);
        socket.next_layer().close();
    }
};

std::string host_header(const Url& url) {
    if (url.scheme == Url::Scheme::unix_socket) return "localhost";
    return url.to_string().substr(std::string_view("tls://").size());
}

std::string declined(const websocket::response_type& response) {
    std::string text = "the agent declined with " + std::to_string(response.result_int());
    std::string_view body = response.body();
    body = body.substr(0, std::min<std::size_t>(body.find_first_of("\r\n"), 200));
    if (!body.empty()) text.append(": ").append(body);
    return text;
}

}  // namespace

class Session::Impl : public std::enable_shared_from_this<Impl> {
public:
    Impl(asio::io_context& io, Options options, Observer& observer)
        : io_(io),
          options_(std::move(options)),
          observer_(&observer),
          deadline_(io),
          retry_timer_(io),
          calls_(std::make_shared<PendingCalls>(io, options_.call_timeout)) {}

    void start();
    void stop();
    void abandon();
    void subscribe(std::optional<Subscription> subscription);
    void call(std::string method, nlohmann::json params, PendingCalls::Done done);

private:
    asio::awaitable<void> run();
    asio::awaitable<std::string> one_connection();
    asio::awaitable<void> open(std::shared_ptr<Link> link);
    asio::awaitable<void> receive(std::shared_ptr<Link> link);
    asio::awaitable<void> wait_before_retry(std::string why);

    void set_deadline(const std::shared_ptr<Link>& link);
    void on_text(std::string_view text);
    void on_binary(std::string_view frame);
    void on_hello(const nlohmann::json& params);
    void on_tick(wire::Tick&& tick);

    void send_subscription();
    void send(std::string text);
    void write_next(const std::shared_ptr<Link>& link);
    std::chrono::milliseconds next_delay();
    void tell_state(State state, const std::string& detail);

    asio::io_context& io_;
    Options options_;
    Observer* observer_;  ///< none once the session was destroyed
    asio::steady_timer deadline_;
    asio::steady_timer retry_timer_;
    std::shared_ptr<PendingCalls> calls_;
    std::shared_ptr<Link> link_;
    bool started_ = false;
    bool closed_ = false;
    bool connected_ = false;  ///< the agent has said hello
    Clock::time_point connected_at_{};
    int failures_ = 0;  ///< in a row
    std::minstd_rand random_{std::random_device{}()};

    std::optional<wire::WallTime> newest_tick_end_;
    /// Replies to subscriptions that are on their way. Frames that come before them belong to an older
    /// subscription.
    int awaited_subscriptions_ = 0;
};

// ---- what the owner calls

void Session::Impl::start() {
    if (started_ || closed_) return;
    started_ = true;
    asio::co_spawn(
        io_, [self = shared_from_this()] { return self->run(); },
        [self = shared_from_this()](std::exception_ptr error) {
            if (error) std::rethrow_exception(error);
        });
}

void Session::Impl::stop() {
    if (closed_) return;
    closed_ = true;
    deadline_.cancel();
    retry_timer_.cancel();
    const std::shared_ptr<Link> link = link_;
    if (link && connected_) {
        link->socket.async_close(websocket::close_reason(websocket::close_code::going_away),
                                 [link](const error_code&) { link->socket.next_layer().close(); });
    } else if (link) {
        link->socket.next_layer().close();
    }
    connected_ = false;
    calls_->fail_all("the session was closed");
    tell_state(State::closed, "");
}

void Session::Impl::abandon() {
    closed_ = true;
    connected_ = false;
    observer_ = nullptr;
    deadline_.cancel();
    retry_timer_.cancel();
    calls_->forget_all();
    if (link_) link_->socket.next_layer().close();
}

void Session::Impl::subscribe(std::optional<Subscription> subscription) {
    options_.subscription = std::move(subscription);
    newest_tick_end_.reset();  // another granularity or scale: what we have is of no use
    if (!connected_) return;
    if (options_.subscription) {
        send_subscription();
    } else {
        call("telemetry.unsubscribe", {}, [](const Reply&) {});
    }
}

void Session::Impl::call(std::string method, nlohmann::json params, PendingCalls::Done done) {
    if (connected_) {
        const std::uint64_t id = calls_->add(method, std::move(done));
        send(request_text(id, method, std::move(params)));
        return;
    }
    // Not from here: whoever calls need not expect to be called back before this returns.
    asio::post(io_, [weak = weak_from_this(), done = std::move(done)] {
        const auto self = weak.lock();
        if (self && self->observer_)
            done({.error_code = kTransportError, .error = "not connected to the agent"});
    });
}

// ---- connecting, again and again

asio::awaitable<void> Session::Impl::run() {
    while (!closed_) {
        tell_state(State::connecting, "connecting to " + options_.url.to_string());
        if (closed_) break;
        const std::string why = co_await one_connection();
        deadline_.cancel();
        // What dropped a connection of some duration is no reason to wait longer the next time.
        if (connected_ && Clock::now() - connected_at_ > options_.last_retry) failures_ = 0;
        connected_ = false;
        link_.reset();
        if (closed_) break;
        calls_->fail_all("the connection was lost: " + why);
        if (closed_) break;
        if (!options_.reconnect) {
            closed_ = true;
            tell_state(State::closed, why);
            break;
        }
        co_await wait_before_retry(why);
    }
}

/// Why it ended.
asio::awaitable<std::string> Session::Impl::one_connection() {
    const auto link = std::make_shared<Link>(io_);
    link_ = link;
    std::string why;
    try {
        set_deadline(link);
        co_await open(link);
        co_await receive(link);
    } catch (const boost::system::system_error& error) {
        why = explain(error.code(), options_.url);
        if (error.code() == websocket::error::closed && !link->socket.reason().reason.empty())
            why += " (" + std::string(link->socket.reason().reason.c_str()) + ")";
    } catch (const ConnectionProblem& problem) {
        why = problem.what();
    }
    if (!link->failure.empty()) why = link->failure;
    link->socket.next_layer().close();
    co_return why;
}

asio::awaitable<void> Session::Impl::open(std::shared_ptr<Link> link) {
    auto& socket = link->socket;
    co_await socket.next_layer().connect(options_.url, options_.tls);
    socket.set_option(websocket::stream_base::timeout{options_.connect_timeout, kIdleTimeout, true});
    socket.set_option(websocket::stream_base::decorator([](websocket::request_type& request) {
        request.set(http::field::sec_websocket_protocol, wire::kSubprotocol);
        request.set(http::field::user_agent, "signalbox");
    }));
    socket.read_message_max(wire::kMaxFrameBytes);

    websocket::response_type response;
    error_code error;
    const std::string host = host_header(options_.url);
    co_await socket.async_handshake(response, host, "/stream",
                                    asio::redirect_error(asio::use_awaitable, error));
    if (error == websocket::error::upgrade_declined) throw ConnectionProblem(declined(response));
    if (error) throw boost::system::system_error(error);
    if (response[http::field::sec_websocket_protocol] != wire::kSubprotocol)
        throw ConnectionProblem("what answers there does not speak " + std::string(wire::kSubprotocol));
}

asio::awaitable<void> Session::Impl::receive(std::shared_ptr<Link> link) {
    beast::flat_buffer buffer;
    // Until an operation fails: after stop() too, so that the agent's goodbye is heard.
    for (;; buffer.clear()) {
        co_await link->socket.async_read(buffer, asio::use_awaitable);
        const std::string_view frame(static_cast<const char*>(buffer.cdata().data()), buffer.size());
        if (closed_) continue;
        if (link->socket.got_text()) {
            on_text(frame);
        } else {
            on_binary(frame);
        }
    }
}

/// From the first look-up to the agent's hello.
void Session::Impl::set_deadline(const std::shared_ptr<Link>& link) {
    deadline_.expires_after(options_.connect_timeout);
    deadline_.async_wait(
        [weak = std::weak_ptr(link), limit = options_.connect_timeout](const error_code& error) {
            const auto late = weak.lock();
            if (!error && late) late->give_up("no answer within " + in_words(limit));
        });
}

asio::awaitable<void> Session::Impl::wait_before_retry(std::string why) {
    const std::chrono::milliseconds delay = next_delay();
    const bool question = !why.empty() && why.back() == '?';
    tell_state(State::waiting, why + (question ? " " : "; ") + "trying again in " + in_words(delay));
    if (closed_) co_return;
    retry_timer_.expires_after(delay);
    error_code stopped;
    co_await retry_timer_.async_wait(asio::redirect_error(asio::use_awaitable, stopped));
}

std::chrono::milliseconds Session::Impl::next_delay() {
    const int doublings = std::min(failures_++, 20);
    const auto delay = std::min(options_.first_retry * (1 << doublings), options_.last_retry);
    // Jitter, so that the consoles of a restarted agent do not come back all at once.
    std::uniform_real_distribution<double> jitter(0.8, 1.2);
    return std::chrono::milliseconds(std::lround(static_cast<double>(delay.count()) * jitter(random_)));
}

// ---- what the agent sends

void Session::Impl::on_text(std::string_view text) {
    const nlohmann::json message = parse_text(text);
    const auto method = message.find("method");
    if (method == message.end()) {
        const auto id = message.find("id");
        if (id != message.end() && id->is_number_unsigned())
            calls_->answer(id->get<std::uint64_t>(), parse_reply(message));
    } else if (*method == "hello" && !connected_) {
        on_hello(message.value("params", nlohmann::json::object()));
    }
    // Notifications of later versions are none of our business.
}

void Session::Impl::on_hello(const nlohmann::json& params) {
    const Hello hello = parse_hello(params);
    deadline_.cancel();
    connected_ = true;
    connected_at_ = Clock::now();
    awaited_subscriptions_ = 0;
    tell_state(State::connected, "connected to " + options_.url.to_string());
    if (observer_) observer_->on_hello(hello);
    if (connected_ && options_.subscription && awaited_subscriptions_ == 0) send_subscription();
}

void Session::Impl::on_binary(std::string_view frame) {
    wire::Decoded decoded = wire::decode(frame);
    if (!decoded) throw ConnectionProblem("the agent sent a broken frame: " + decoded.error);
    if (awaited_subscriptions_ > 0 || !options_.subscription || !observer_) return;
    if (auto* tick = std::get_if<wire::Tick>(&*decoded.message)) {
        on_tick(std::move(*tick));
    } else if (auto* directory = std::get_if<wire::Directory>(&*decoded.message)) {
        observer_->on_directory(std::move(*directory));
    } else {
        observer_->on_events(std::move(std::get<wire::Events>(*decoded.message)));
    }
}

void Session::Impl::on_tick(wire::Tick&& tick) {
    newest_tick_end_ = std::max(newest_tick_end_.value_or(tick.end), tick.end);
    observer_->on_tick(std::move(tick));
}

// ---- what is sent to it

void Session::Impl::send_subscription() {
    ++awaited_subscriptions_;
    const auto answered = [this, link = link_](const Reply& reply) {
        if (link != link_ || closed_) return;  // the next connection subscribes again
        --awaited_subscriptions_;
        if (!reply) link->give_up("the subscription failed: " + reply.error);
    };
    call("telemetry.subscribe", subscribe_params(*options_.subscription, newest_tick_end_), answered);
}

void Session::Impl::send(std::string text) {
    link_->outgoing.push_back(std::move(text));
    if (link_->outgoing.size() == 1) write_next(link_);
}

void Session::Impl::write_next(const std::shared_ptr<Link>& link) {
    link->socket.text(true);
    link->socket.async_write(asio::buffer(link->outgoing.front()),
                             [self = shared_from_this(), link](const error_code& error, std::size_t) {
                                 // The reading side notices, and says why.
                                 if (error) return link->socket.next_layer().close();
                                 link->outgoing.pop_front();
                                 if (!link->outgoing.empty()) self->write_next(link);
                             });
}

void Session::Impl::tell_state(State state, const std::string& detail) {
    if (observer_) observer_->on_state(state, detail);
}

// ---- Session

Session::Session(asio::io_context& io, Options options, Observer& observer)
    : impl_(std::make_shared<Impl>(io, std::move(options), observer)) {}

Session::~Session() {
    impl_->abandon();
}

// Each keeps the implementation alive: a callback may destroy the session.
void Session::start() {
    std::shared_ptr(impl_)->start();
}
void Session::stop() {
    std::shared_ptr(impl_)->stop();
}
void Session::subscribe(std::optional<Subscription> subscription) {
    std::shared_ptr(impl_)->subscribe(std::move(subscription));
}
void Session::call(std::string method, nlohmann::json params, std::function<void(Reply)> done) {
    std::shared_ptr(impl_)->call(std::move(method), std::move(params), std::move(done));
}

}  // namespace signalbox::client
