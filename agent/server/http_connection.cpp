#include "agent/server/http_connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "agent/server/file_stream.hpp"
#include "agent/server/handler_failure.hpp"
#include "agent/server/websocket_core.hpp"

namespace signalbox::server {

namespace {

using telemetry::ConnectionState;

constexpr int kRequestsPerTurn = 16;  ///< pipelined ones, before other connections have their turn
constexpr std::size_t kOutputEnough = 64 * 1024;  ///< of small responses, before they are written
constexpr std::size_t kCopiedBody = 8 * 1024;     ///< longer ones are written from where they are
constexpr std::size_t kKeptBody = 64 * 1024;      ///< a longer request body's memory is given back
constexpr std::size_t kLeastRead = 2 * 1024;
constexpr std::size_t kLeastBodyRead = 32 * 1024;
constexpr std::size_t kFilePerTurn = 1024 * 1024;  ///< sent before other connections have their turn

/// What PlainStream offers and an encrypted stream cannot.
template <class Stream>
concept SendsFiles = requires(Stream stream, boost::system::error_code ec) {
    stream.send_file_now(0, std::uint64_t(), std::size_t(), ec);
};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

Response plain(int status, std::string_view text) {
    std::string body = std::to_string(status) + ' ';
    body += reason_phrase(status);
    if (!text.empty()) (body += ": ") += text;
    body += '\n';
    return Response::text(std::move(body), status);
}

Response no_route(const Router::Match& match) {
    Response response = plain(match.status, {});
    if (!match.allow.empty()) response.headers.add("Allow", match.allow);
    return response;
}

}  // namespace

template <class Stream>
HttpConnection<Stream>::HttpConnection(WorkerContext& context, std::shared_ptr<const HttpSite> site,
                                       Stream stream, std::string peer, std::uint64_t now)
    : context_(context),
      site_(std::move(site)),
      peer_(std::move(peer)),
      tls_(facts_of(stream)),
      shown_(context.table.open(peer_, now)),
      stream_(std::move(stream)),
      buffers_(context.http_buffers.take()),
      input_(buffers_->input),
      request_(buffers_->request),
      parser_(site_->limits, request_),
      head_(buffers_->head),
      what_(buffers_->what) {
    request_.peer = peer_;
    request_.tls = tls_;
    context_.opened(*this);
}

template <class Stream>
HttpConnection<Stream>::~HttpConnection() {
    if (phase_ != Phase::closed) context_.abandoned(*this);
    context_.http_buffers.give_back(std::move(buffers_));
}

template <class Stream>
void HttpConnection<Stream>::start(std::uint64_t now) {
    phase_began_ = now;
    context_.deadlines.set(*this, now, site_->limits.header_deadline);
    // A client speaks first, and its request is often there already.
    const auto [to, size] = input_.space(kLeastRead);
    error_code ec;
    const std::size_t bytes = stream_.read_now(to, size, ec);
    ec == boost::asio::error::would_block ? read() : received(ec, bytes);
}

template <class Stream>
void HttpConnection<Stream>::enter(Phase phase, std::uint64_t now) {
    const HttpLimits& limits = site_->limits;
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
    if (reading_) return;
    reading_ = true;
    const auto [to, size] = input_.space(parser_.in_body() ? kLeastBodyRead : kLeastRead);
    stream_.async_read_some(to, size, [self = this->shared_from_this()](error_code ec, std::size_t bytes) {
        self->received(ec, bytes);
    });
}

template <class Stream>
void HttpConnection<Stream>::received(error_code ec, std::size_t bytes) {
    reading_ = false;
    if (phase_ == Phase::closed || phase_ == Phase::writing) return;  // a deadline came first
    const std::uint64_t now = telemetry::monotonic_ns();
    if (ec) return fail(phase_ == Phase::idle ? End::served : End::client, now);
    input_.commit(bytes);
    context_.metrics.received_bytes.add(bytes);
    shown_.received(bytes);
    if (!incoming_) return run(now);
    if (phase_ == Phase::body) enter(Phase::handling, now);
    incoming_->arrived();
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
            case RequestParser::Status::header: {
                const Next next = begin_body(now);
                if (next != Next::advance) return next;
                break;
            }
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
        case Next::upgrade:
            return upgrade();
        case Next::body:
            enter(Phase::body, now);
            return read();
        case Next::stream:
            return begin_stream(now);
        case Next::produce:
            enter(Phase::handling, now);
            return outgoing_->sent();
        case Next::close:
        case Next::linger:
            return finish(next_, now);
    }
}

/// Advance: the body is read before the request is answered.
template <class Stream>
auto HttpConnection<Stream>::begin_body(std::uint64_t& now) -> Next {
    enter(Phase::body, now);
    const bool expects = parser_.expects_continue();
    if (!expects && !site_->router.reads_bodies()) return Next::advance;
    const Router::Match match = site_->router.match(request_);
    if (match.endpoint && std::holds_alternative<BodyHandler>(*match.endpoint)) {
        parser_.read_in_pieces();
        if (parser_.body_too_large()) return Next::advance;  // to be refused
        body_done_ = false;
        begin_request(now);
        return answer_with(match, now);
    }
    if (!expects || parser_.body_too_large()) return Next::advance;
    if (!match.endpoint) {
        begin_request(now);
        framing_.keep_alive = false;  // whether a body follows is unknown
        answer_with(match, now);
        return Next::linger;
    }
    if (input_.empty()) head_ += kContinue;
    return Next::advance;
}

// ---- answers

template <class Stream>
void HttpConnection<Stream>::begin_request(std::uint64_t now) {
    constexpr std::size_t kShownPath = 70;
    what_.assign(request_.method).append(" ").append(request_.path, 0, kShownPath);
    shown_.begin_request(what_);
    enter(Phase::handling, now);
    request_began_ = now;
    framing_ = {
        .version = request_.version, .keep_alive = parser_.keep_alive(), .head = request_.method == "HEAD"};
    if (site_->compression) coding_ = choose_coding(request_.headers, *site_->compression);
}

template <class Stream>
auto HttpConnection<Stream>::answer(std::uint64_t& now) -> Next {
    begin_request(now);
    return answer_with(site_->router.match(request_), now);
}

template <class Stream>
auto HttpConnection<Stream>::answer_with(const Router::Match& match, std::uint64_t& now) -> Next {
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
    endpoint_ = match.endpoint;
    const auto* const websocket = std::get_if<std::shared_ptr<const WebSocketEndpoint>>(endpoint_);
    if (!websocket) return Next::dispatch;
    auto refusal = refuse_websocket(request_, (*websocket)->options);
    return refusal ? respond(std::move(*refusal), framing_, now) : Next::upgrade;
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
    request_.tls = tls_;
    const auto activity = context_.seat.activity(what_, now);
    const auto done = [self = this->shared_from_this()](const std::exception_ptr& failure,
                                                        Response response) {
        self->dispatched(failure, std::move(response));
    };
    try {
        if (const auto* handler = std::get_if<AsyncHandler>(endpoint_))
            return boost::asio::co_spawn(stream_.get_executor(), (*handler)(std::move(request)), done);
        const std::optional<std::uint64_t> length = body_done_ ? 0 : parser_.body_length();
        incoming_ =
            std::make_shared<IncomingBody>(stream_.get_executor(), static_cast<BodySource&>(*this), length);
        boost::asio::co_spawn(stream_.get_executor(),
                              std::get<BodyHandler>(*endpoint_)(std::move(request), *incoming_), done);
    } catch (...) {
        dispatched(std::current_exception(), {});
    }
}

template <class Stream>
void HttpConnection<Stream>::upgrade() {
    context_.seat.count_request();
    phase_ = Phase::closed;
    shown_.close();
    context_.deadlines.clear(*this);
    serve_websocket(context_, site_->websockets,
                    std::get<std::shared_ptr<const WebSocketEndpoint>>(*endpoint_), std::move(request_),
                    UpgradedStream(std::move(stream_), input_.unread()));
    end = End::handed_on;
    context_.closed(*this);
}

template <class Stream>
void HttpConnection<Stream>::dispatched(const std::exception_ptr& failure, Response response) {
    const std::uint64_t now = telemetry::monotonic_ns();
    const auto incoming = std::move(incoming_);
    if (phase_ == Phase::closed) return;  // within the body
    if (!body_done_) skip_body();
    if (failure && body_refusal_.status) {
        next_ = refuse(body_refusal_);
    } else {
        if (failure) response = handler_failed(failure);
        if (!body_done_) response.close = true;
        next_ = respond(std::move(response), framing_, now);
    }
    if (write_out(now)) follow(now);
}

/// What the handler has not read and is here already. Waiting for the rest would cost more than a new
/// connection, and a client that waits for "100 Continue" may never send it.
template <class Stream>
void HttpConnection<Stream>::skip_body() {
    std::string skipped;
    while (!reading_ && take_from_input(skipped) == Taken::piece) {
    }
}

// ---- a body that its handler reads

template <class Stream>
auto HttpConnection<Stream>::take_from_input(std::string& piece) -> Taken {
    if (body_refusal_.status) return Taken::refused;
    if (body_done_) return Taken::end;
    request_.body.clear();
    const auto [status, consumed] = parser_.parse(input_.unread());
    input_.consume(consumed);
    if (status == RequestParser::Status::refused) {
        body_refusal_ = parser_.refusal();
        return Taken::refused;
    }
    body_done_ = status == RequestParser::Status::complete;
    if (request_.body.empty()) return body_done_ ? Taken::end : Taken::wait;
    piece.swap(request_.body);
    return Taken::piece;
}

template <class Stream>
auto HttpConnection<Stream>::take(std::string& piece) -> Taken {
    if (phase_ == Phase::closed) return Taken::gone;
    const bool nothing_came = input_.empty();
    // Consuming would move the place that a read under way writes to.
    const Taken taken = reading_ && !body_refusal_.status ? Taken::wait : take_from_input(piece);
    if (taken != Taken::wait) return taken;
    const std::uint64_t now = telemetry::monotonic_ns();
    next_ = Next::body;
    if (nothing_came && parser_.expects_continue() && !continued_) head_ += kContinue;
    continued_ = true;
    if (write_out(now)) follow(now);
    return phase_ == Phase::closed ? Taken::gone : Taken::wait;
}

template <class Stream>
Response HttpConnection<Stream>::handler_failed(const std::exception_ptr& failure) {
    context_.seat.log(wire::Severity::error, "handler_failed", what_ + ": " + message_of(failure));
    if (!is_overload(failure)) return plain(500, {});
    Response later = plain(503, {});
    later.headers.add("Retry-After", "1");
    return later;
}

/// The answer to a request that has come as far as it is read: it has a duration.
template <class Stream>
auto HttpConnection<Stream>::respond(Response response, Framing framing, std::uint64_t now) -> Next {
    context_.metrics.request_duration.record(std::chrono::nanoseconds(now - request_began_));
    return put_out(std::move(response), framing);
}

template <class Stream>
auto HttpConnection<Stream>::put_out(Response response, Framing framing) -> Next {
    // A client that asked for the end sends nothing more; one that did not may be sending right now.
    const bool may_be_sending = framing.keep_alive || !body_done_;
    // While requests wait in the buffer they are answered, even if the worker drains.
    if (response.close || (context_.draining && input_.empty())) framing.keep_alive = false;
    try {
        if (site_->compression) encoder_ = compress(response, coding_, *site_->compression);
        if (response.source && !response.source->length() && framing.version < 11) framing.keep_alive = false;
        append_header(head_, response, framing, context_.date.now());
    } catch (...) {
        response = handler_failed(std::current_exception());
        append_header(head_, response, framing, context_.date.now());
    }
    const bool produced = response.source && has_body(response, framing);
    if (produced) {
        source_ = std::move(response.source);
    } else if (has_body(response, framing)) {
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
    body_done_ = true;
    body_refusal_ = {};
    continued_ = false;
    const Next next = framing.keep_alive                  ? Next::advance
                      : may_be_sending || !input_.empty() ? Next::linger
                                                          : Next::close;
    if (!produced) {
        encoder_.reset();
        return next;
    }
    after_ = next;
    return Next::stream;
}

/// What was refused never was a whole request: it is counted, but there is no time that it took.
template <class Stream>
auto HttpConnection<Stream>::refuse(const Refusal& refusal) -> Next {
    context_.metrics.refused_requests.add();
    put_out(plain(refusal.status, refusal.reason), {.version = 11, .keep_alive = false, .head = false});
    return Next::linger;
}

// ---- a body that is produced

template <class Stream>
void HttpConnection<Stream>::begin_stream(std::uint64_t now) {
    enter(Phase::handling, now);
    if constexpr (SendsFiles<Stream>) {
        file_sent_ = 0;
        if (source_->file && !encoder_) return send_file(now);
    }
    const std::shared_ptr<const ResponseSource> source = std::move(source_);
    const bool chunked = !source->length() && framing_.version >= 11;
    outgoing_ = std::make_shared<OutgoingStream>(
        stream_.get_executor(), static_cast<StreamSink&>(*this),
        chunked ? OutgoingStream::Framing::chunked : OutgoingStream::Framing::bare, std::move(encoder_));
    const auto activity = context_.seat.activity(what_, now);
    try {
        boost::asio::co_spawn(
            stream_.get_executor(),
            source->produce ? source->produce(*outgoing_) : write_file(*outgoing_, *source->file),
            [self = this->shared_from_this(), source](const std::exception_ptr& failure) {
                self->stream_ended(failure);
            });
    } catch (...) {
        stream_ended(std::current_exception());
    }
}

template <class Stream>
void HttpConnection<Stream>::stream_ended(const std::exception_ptr& failure) {
    const auto outgoing = std::move(outgoing_);
    if (phase_ == Phase::closed) return;  // the client has gone, which its producer was told
    const std::uint64_t now = telemetry::monotonic_ns();
    if (failure) return cut_off(message_of(failure), now);
    outgoing->finish();
    next_ = after_;
    if (write_out(now)) follow(now);
}

template <class Stream>
bool HttpConnection<Stream>::flush() {
    next_ = Next::produce;
    return write_out(telemetry::monotonic_ns());
}

template <class Stream>
void HttpConnection<Stream>::send_file(std::uint64_t now) {
    if constexpr (SendsFiles<Stream>) {
        const FilePart& part = *source_->file;
        const std::size_t wanted = std::min<std::uint64_t>(part.length - file_sent_, kFilePerTurn);
        error_code ec;
        const std::size_t bytes =
            wanted ? stream_.send_file_now(part.file.get(), part.offset + file_sent_, wanted, ec) : 0;
        if (ec == boost::asio::error::eof) return cut_off("the file has become shorter", now);
        if (ec && ec != boost::asio::error::would_block) return fail(End::client, now);
        context_.metrics.sent_bytes.add(bytes);
        shown_.sent(bytes);
        file_sent_ += bytes;
        if (file_sent_ == part.length) {
            source_.reset();
            next_ = after_;
            return follow(now);
        }
        enter(Phase::writing, now);
        stream_.async_wait_writable([self = this->shared_from_this()](error_code failed) {
            if (self->phase_ == Phase::closed) return;
            const std::uint64_t later = telemetry::monotonic_ns();
            failed ? self->fail(End::client, later) : self->send_file(later);
        });
    }
}

/// The client must not take what it has for the whole: for chunks and announced lengths the end is enough, a
/// body without either has to be reset.
template <class Stream>
void HttpConnection<Stream>::cut_off(std::string_view why, std::uint64_t now) {
    context_.seat.log(wire::Severity::error, "response_cut_off", what_ + ": " + std::string(why));
    if constexpr (requires { stream_.reset(); }) {
        if (framing_.version < 11) stream_.reset();
    }
    fail(End::handler, now);
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

/// What ends the connection goes out with the last bytes, in one segment instead of two.
template <class Stream>
std::size_t HttpConnection<Stream>::write_now(error_code& ec) {
    if constexpr (requires { stream_.write_last_now({}, {}, ec); }) {
        if (next_ == Next::close || next_ == Next::linger)
            return stream_.write_last_now(rest_of_head(), rest_of_body(), ec);
    }
    return stream_.write_now(rest_of_head(), rest_of_body(), ec);
}

/// True when everything is written; otherwise follow() is called later.
template <class Stream>
bool HttpConnection<Stream>::write_out(std::uint64_t now) {
    if (head_.empty()) return true;
    error_code ec;
    const std::size_t bytes = write_now(ec);
    if (ec) {
        fail(End::client, now);
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
    if (ec) return fail(End::client, now);
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
    end = phase_ == Phase::idle ? End::served : End::deadline;
    if (phase_ == Phase::body && incoming_) {
        body_refusal_ = {408, "the request took too long"};
        enter(Phase::handling, now);
        return incoming_->arrived();
    }
    if (phase_ != Phase::header && phase_ != Phase::body) return finish(Next::close, now);
    next_ = refuse({408, "the request took too long"});
    if (write_out(now)) finish(next_, now);
}

template <class Stream>
void HttpConnection<Stream>::close_if_idle(std::uint64_t now, std::chrono::nanoseconds least) {
    if (outgoing_) outgoing_->stop();
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
    if (outgoing_) outgoing_->ended();
    if (incoming_) incoming_->arrived();
}

template class HttpConnection<PlainStream>;
template class HttpConnection<TlsStream>;

}  // namespace signalbox::server
