#include "agent/server/http_connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

namespace signalbox::server {

namespace {

using telemetry::ConnectionState;

constexpr int kRequestsPerTurn = 16;  ///< pipelined ones, before other connections have their turn
constexpr std::size_t kOutputEnough = 64 * 1024;  ///< of small responses, before they are written
constexpr std::size_t kCopiedBody = 8 * 1024;     ///< longer ones are written from where they are
constexpr std::size_t kKeptBody = 64 * 1024;      ///< a longer request body's memory is given back
constexpr std::size_t kLeastRead = 2 * 1024;
constexpr std::size_t kLeastBodyRead = 32 * 1024;

Response plain(int status, std::string_view text) {
    std::string body = std::to_string(status) + ' ';
    body += reason_phrase(status);
    if (!text.empty()) (body += ": ") += text;
    body += '\n';
    return Response::text(std::move(body), status);
}

Response no_route(const Router::Match& match) {
    Response response = plain(match.status, {});
    if (match.status == 405) response.headers.add("Allow", match.allow);
    return response;
}

std::string message_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& exception) {
        return exception.what();
    } catch (...) {
        return "an exception that is no std::exception";
    }
}

}  // namespace

template <class Stream>
HttpConnection<Stream>::HttpConnection(WorkerContext& context, std::shared_ptr<const HttpListener> listener,
                                       Stream stream, std::string peer)
    : context_(context),
      listener_(std::move(listener)),
      peer_(std::move(peer)),
      shown_(context.table.open(peer_, telemetry::monotonic_ns())),
      stream_(std::move(stream)),
      parser_(listener_->options.limits, request_) {
    request_.peer = peer_;
    context_.opened(*this);
}

template <class Stream>
HttpConnection<Stream>::~HttpConnection() {
    if (phase_ != Phase::closed) context_.closed(*this);
}

template <class Stream>
void HttpConnection<Stream>::start(std::uint64_t now) {
    phase_began_ = now;
    context_.deadlines.set(*this, now, listener_->options.limits.header_deadline);
    read();
}

template <class Stream>
void HttpConnection<Stream>::enter(Phase phase, std::uint64_t now) {
    const HttpLimits& limits = listener_->options.limits;
    phase_ = phase;
    phase_began_ = now;
    switch (phase) {
        case Phase::idle:
            shown_.enter(ConnectionState::idle, now);
            return context_.deadlines.set(*this, now, limits.keep_alive);
        case Phase::header:
            shown_.enter(ConnectionState::reading, now);
            return context_.deadlines.set(*this, now, limits.header_deadline);
        case Phase::body:
            shown_.enter(ConnectionState::reading, now);
            return context_.deadlines.set(*this, now, limits.body_deadline);
        case Phase::writing:
            shown_.enter(ConnectionState::writing, now);
            return context_.deadlines.set(*this, now, limits.write_deadline);
        case Phase::handling:
            shown_.enter(ConnectionState::handling, now);
            return context_.deadlines.clear(*this);
        case Phase::closed:
            shown_.close();
            return context_.deadlines.clear(*this);
    }
}

// ---- input

template <class Stream>
void HttpConnection<Stream>::read() {
    const auto [to, size] = input_.space(parser_.in_body() ? kLeastBodyRead : kLeastRead);
    stream_.async_read_some(to, size, [self = this->shared_from_this()](error_code ec, std::size_t bytes) {
        self->received(ec, bytes);
    });
}

template <class Stream>
void HttpConnection<Stream>::received(error_code ec, std::size_t bytes) {
    if (phase_ == Phase::closed || phase_ == Phase::writing) return;  // a deadline came first
    const std::uint64_t now = telemetry::monotonic_ns();
    if (ec) return finish(Next::close, now);
    input_.commit(bytes);
    context_.metrics.received_bytes.add(bytes);
    shown_.received(bytes);
    run(now);
}

template <class Stream>
void HttpConnection<Stream>::run(std::uint64_t now) {
    next_ = advance(now);
    if (write_out(now)) follow(now);
}

template <class Stream>
auto HttpConnection<Stream>::advance(std::uint64_t& now) -> Next {
    for (int answered = 0; answered < kRequestsPerTurn && body_.empty() && head_.size() < kOutputEnough;) {
        const auto [status, consumed] = parser_.parse(input_.unread());
        input_.consume(consumed);
        switch (status) {
            case RequestParser::Status::need_more:
                return Next::read;
            case RequestParser::Status::header:
                if (!begin_body(now)) return Next::linger;
                break;
            case RequestParser::Status::refused:
                return refuse(parser_.refusal());
            case RequestParser::Status::complete:
                const Next next = answer(now);
                if (next != Next::advance) return next;
                ++answered;
        }
    }
    return input_.empty() ? Next::read : Next::advance;
}

template <class Stream>
void HttpConnection<Stream>::follow(std::uint64_t now) {
    switch (next_) {
        case Next::read: {
            const Phase phase = parser_.in_body()   ? Phase::body
                                : parser_.started() ? Phase::header
                                                    : Phase::idle;
            if (phase != phase_) enter(phase, now);
            return read();
        }
        case Next::advance:
            return boost::asio::post(stream_.get_executor(), [self = this->shared_from_this()] {
                if (self->phase_ != Phase::closed) self->run(telemetry::monotonic_ns());
            });
        case Next::dispatch:
            return dispatch(now);
        case Next::close:
        case Next::linger:
            return finish(next_, now);
    }
}

/// False if the request is answered without its body.
template <class Stream>
bool HttpConnection<Stream>::begin_body(std::uint64_t& now) {
    enter(Phase::body, now);
    if (!parser_.expects_continue()) return true;
    request_began_ = now;
    const Router::Match match = listener_->router.match(request_);
    if (!match.endpoint) {
        now = telemetry::monotonic_ns();
        respond(no_route(match),
                {.version = request_.version, .keep_alive = false, .head = request_.method == "HEAD"}, now);
        return false;
    }
    if (input_.empty()) head_ += "HTTP/1.1 100 Continue\r\n\r\n";
    return true;
}

// ---- answers

template <class Stream>
auto HttpConnection<Stream>::answer(std::uint64_t& now) -> Next {
    constexpr std::size_t kShownPath = 70;
    what_.assign(request_.method).append(" ").append(request_.path, 0, kShownPath);
    shown_.begin_request(what_);
    enter(Phase::handling, now);
    request_began_ = now;
    framing_ = {
        .version = request_.version, .keep_alive = parser_.keep_alive(), .head = request_.method == "HEAD"};
    const Router::Match match = listener_->router.match(request_);
    if (!match.endpoint) {
        now = telemetry::monotonic_ns();
        return respond(no_route(match), framing_, now);
    }

    what_.append(" from ").append(peer_);
    if (const auto* handler = std::get_if<Handler>(match.endpoint)) {
        Response response = call(*handler, now);
        now = telemetry::monotonic_ns();
        return respond(std::move(response), framing_, now);
    }
    async_handler_ = &std::get<AsyncHandler>(*match.endpoint);
    return Next::dispatch;
}

template <class Stream>
Response HttpConnection<Stream>::call(const Handler& handler, std::uint64_t now) {
    const auto activity = context_.seat.activity(what_, now);
    try {
        return handler(request_);
    } catch (...) {
        return handler_failed(std::current_exception());
    }
}

template <class Stream>
void HttpConnection<Stream>::dispatch(std::uint64_t now) {
    enter(Phase::handling, now);
    Request request = std::move(request_);
    request_ = Request();
    request_.peer = peer_;
    const auto activity = context_.seat.activity(what_, now);
    try {
        boost::asio::co_spawn(
            stream_.get_executor(), (*async_handler_)(std::move(request)),
            [self = this->shared_from_this()](const std::exception_ptr& failure, Response response) {
                self->dispatched(failure, std::move(response));
            });
    } catch (...) {
        dispatched(std::current_exception(), {});
    }
}

template <class Stream>
void HttpConnection<Stream>::dispatched(const std::exception_ptr& failure, Response response) {
    const std::uint64_t now = telemetry::monotonic_ns();
    next_ = respond(failure ? handler_failed(failure) : std::move(response), framing_, now);
    if (write_out(now)) follow(now);
}

template <class Stream>
Response HttpConnection<Stream>::handler_failed(const std::exception_ptr& failure) {
    context_.seat.log(wire::Severity::error, "handler_failed", what_ + ": " + message_of(failure));
    return plain(500, {});
}

/// The answer to a request that has come as far as it is read: it has a duration.
template <class Stream>
auto HttpConnection<Stream>::respond(Response response, Framing framing, std::uint64_t now) -> Next {
    context_.metrics.request_duration.record(std::chrono::nanoseconds(now - request_began_));
    return put_out(std::move(response), framing);
}

template <class Stream>
auto HttpConnection<Stream>::put_out(Response response, Framing framing) -> Next {
    const bool client_stays = framing.keep_alive;
    // While requests wait in the buffer they are answered, even if the worker drains.
    if (response.close || (context_.draining && input_.empty())) framing.keep_alive = false;
    try {
        append_header(head_, response, framing, context_.date.now());
    } catch (...) {
        response = handler_failed(std::current_exception());
        append_header(head_, response, framing, context_.date.now());
    }
    if (has_body(response, framing)) {
        if (response.body.size() > kCopiedBody)
            body_ = std::move(response.body);
        else
            head_ += response.body;
    }
    context_.seat.count_request();
    shown_.count_request();
    context_.metrics.requests(response.status).add();
    parser_.reset();
    if (request_.body.capacity() > kKeptBody) request_.body = std::string();
    if (framing.keep_alive) return Next::advance;
    // A client that asked for the end sends nothing more; one that did not may be sending right now.
    return client_stays || !input_.empty() ? Next::linger : Next::close;
}

/// What was refused never was a whole request: it is counted, but there is no time that it took.
template <class Stream>
auto HttpConnection<Stream>::refuse(const Refusal& refusal) -> Next {
    context_.metrics.refused_requests.add();
    put_out(plain(refusal.status, refusal.reason), {.version = 11, .keep_alive = false, .head = false});
    return Next::linger;
}

// ---- output

template <class Stream>
std::string_view HttpConnection<Stream>::rest_of_head() const {
    return std::string_view(head_).substr(std::min(sent_, head_.size()));
}

template <class Stream>
std::string_view HttpConnection<Stream>::rest_of_body() const {
    return sent_ <= head_.size() ? std::string_view(body_)
                                 : std::string_view(body_).substr(sent_ - head_.size());
}

/// True when everything is written; otherwise follow() is called later.
template <class Stream>
bool HttpConnection<Stream>::write_out(std::uint64_t now) {
    if (head_.empty()) return true;
    error_code ec;
    const std::size_t bytes = stream_.write_now(rest_of_head(), rest_of_body(), ec);
    if (ec) {
        finish(Next::close, now);
        return false;
    }
    if (output_sent(bytes)) return true;
    enter(Phase::writing, now);
    write_rest();
    return false;
}

template <class Stream>
void HttpConnection<Stream>::write_rest() {
    stream_.async_write_some(
        rest_of_head(), rest_of_body(),
        [self = this->shared_from_this()](error_code ec, std::size_t bytes) { self->written(ec, bytes); });
}

template <class Stream>
void HttpConnection<Stream>::written(error_code ec, std::size_t bytes) {
    if (phase_ == Phase::closed) return;
    const std::uint64_t now = telemetry::monotonic_ns();
    if (ec) return finish(Next::close, now);
    if (output_sent(bytes)) return follow(now);
    enter(Phase::writing, now);
    write_rest();
}

/// True when nothing is left.
template <class Stream>
bool HttpConnection<Stream>::output_sent(std::size_t bytes) {
    context_.metrics.sent_bytes.add(bytes);
    shown_.sent(bytes);
    sent_ += bytes;
    if (sent_ < head_.size() + body_.size()) return false;
    head_.clear();
    if (!body_.empty()) body_ = std::string();
    sent_ = 0;
    return true;
}

// ---- the end

template <class Stream>
void HttpConnection<Stream>::deadline_passed(std::uint64_t now) {
    const auto self = this->shared_from_this();
    if (phase_ != Phase::header && phase_ != Phase::body) return finish(Next::close, now);
    next_ = refuse({408, "the request took too long"});
    if (write_out(now)) finish(next_, now);
}

template <class Stream>
void HttpConnection<Stream>::close_if_idle(std::uint64_t now, std::chrono::nanoseconds least) {
    if (phase_ != Phase::idle || now - phase_began_ < static_cast<std::uint64_t>(least.count())) return;
    const auto self = this->shared_from_this();
    finish(Next::linger, now);
}

template <class Stream>
void HttpConnection<Stream>::finish(Next how, std::uint64_t now) {
    if (phase_ == Phase::closed) return;
    enter(Phase::closed, now);
    const int descriptor = how == Next::linger ? stream_.release() : -1;
    if (descriptor >= 0)
        context_.lingering.add(descriptor, now);
    else
        stream_.close();
    context_.closed(*this);
}

template class HttpConnection<PlainStream>;
template class HttpConnection<TlsStream>;

}  // namespace signalbox::server
