// One HTTP/1.x connection: reads requests, has them answered in order, writes the responses.
//
// A cycle of four steps, driven by callbacks: advance() parses and answers what has been read, until it needs
// more input, has enough output, or meets a coroutine handler; the output is written; then next_ says how it
// goes on. A request and its response are never under way at once on both sides, so nothing here needs a
// queue. Each phase has its own deadline.
//
// What becomes a WebSocket leaves it for good (upgrade()). Three things leave the cycle and come back to it: a coroutine handler (dispatch() to dispatched()), which may
// read the body itself on the way, through take(); a produced response (begin_stream() to stream_ended()),
// whose producer writes through flush(); and a file, which the kernel sends (send_file()).
#pragma once

#include <memory>
#include <string>

#include "agent/server/compression.hpp"
#include "agent/server/http_parser.hpp"
#include "agent/server/http_service.hpp"
#include "agent/server/incoming_body.hpp"
#include "agent/server/outgoing_stream.hpp"
#include "agent/server/plain_stream.hpp"
#include "agent/server/response_source.hpp"
#include "agent/server/transport/tls_stream.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

template <class Stream>
class HttpConnection final : public OpenConnection,
                             private StreamSink,
                             private BodySource,
                             public std::enable_shared_from_this<HttpConnection<Stream>> {
public:
    HttpConnection(WorkerContext& context, std::shared_ptr<const HttpSite> site, Stream stream,
                   std::string peer, std::uint64_t now);
    ~HttpConnection() override;

    void start(std::uint64_t now);

    void deadline_passed(std::uint64_t now) override;
    void close_if_idle(std::uint64_t now, std::chrono::nanoseconds least) override;
    std::uint64_t waits_since() const override {
        return phase_ == Phase::idle || phase_ == Phase::header ? phase_began_ : 0;
    }
    void make_way(std::uint64_t now) override {
        const auto self = this->shared_from_this();
        end = End::shed;
        if (phase_ == Phase::header) refuse({503, "too many connections wait"});
        if (write_out(now)) finish(Next::close, now);
    }

private:
    using error_code = boost::system::error_code;

    enum class Phase { idle, header, body, handling, writing, closed };
    enum class Next {
        read,      ///< more input is needed
        advance,   ///< input is there, but others go first
        dispatch,  ///< a coroutine handler is to be started
        upgrade,   ///< after the output, the connection becomes a WebSocket
        body,      ///< more input is needed, and a handler waits for it
        stream,    ///< after the output, the body is to be produced
        produce,   ///< after the output, its producer goes on
        close,     ///< after the output
        linger,    ///< after the output, and the client may still be sending
    };

    void enter(Phase phase, std::uint64_t now);
    void read();
    void received(error_code ec, std::size_t bytes);
    void run(std::uint64_t now);
    Next advance(std::uint64_t& now);
    void follow(std::uint64_t now);

    std::size_t write_now(error_code& ec);
    bool write_out(std::uint64_t now);
    void write_rest();
    void written(error_code ec, std::size_t bytes);
    bool output_sent(std::size_t bytes);
    std::string_view rest_of_head() const;
    std::string_view rest_of_body() const;

    Next begin_body(std::uint64_t& now);
    void begin_request(std::uint64_t now);
    Next answer(std::uint64_t& now);
    Next answer_with(const Router::Match& match, std::uint64_t& now);
    Response call(const Handler& handler, std::uint64_t now);
    void dispatch(std::uint64_t now);
    void upgrade();
    void dispatched(const std::exception_ptr& failure, Response response);
    void skip_body();
    Response handler_failed(const std::exception_ptr& failure);
    Next respond(Response response, Framing framing, std::uint64_t now);
    Next put_out(Response response, Framing framing);
    Next refuse(const Refusal& refusal);

    Taken take(std::string& piece) override;
    Taken take_from_input(std::string& piece);

    void begin_stream(std::uint64_t now);
    void stream_ended(const std::exception_ptr& failure);
    std::string& output() override { return head_; }
    bool flush() override;
    bool draining() const override { return context_.draining; }
    void send_file(std::uint64_t now);
    void cut_off(std::string_view why, std::uint64_t now);

    void finish(Next how, std::uint64_t now);
    void fail(End why, std::uint64_t now) {
        end = why;
        finish(Next::close, now);
    }

    WorkerContext& context_;
    const std::shared_ptr<const HttpSite> site_;
    const std::string peer_;
    const std::shared_ptr<const TlsFacts> tls_;
    telemetry::ConnectionSlot shown_;
    Stream stream_;
    std::unique_ptr<HttpBuffers> buffers_;
    ReadBuffer& input_;
    Request& request_;
    RequestParser parser_;
    std::string& head_;     ///< output: responses that are whole, or the header of the last one …
    std::string body_;      ///< … whose body is long enough not to be copied
    std::size_t sent_ = 0;  ///< of head_ and body_ together
    const Router::Endpoint* endpoint_ = nullptr;  ///< the coroutine handler, or the WebSocket
    std::shared_ptr<IncomingBody> incoming_;      ///< while it reads the body itself
    Refusal body_refusal_;                        ///< of that body
    bool body_done_ = true;                       ///< it has come in whole
    bool continued_ = false;                      ///< the client knows that it may send it
    bool reading_ = false;
    std::shared_ptr<OutgoingStream> outgoing_;  ///< while a body is produced
    std::shared_ptr<const ResponseSource> source_;
    std::unique_ptr<Encoder> encoder_;  ///< of source_
    std::uint64_t file_sent_ = 0;       ///< of source_
    Next after_ = Next::advance;        ///< the body that is produced
    Coding coding_ = Coding::identity;  ///< what the client likes best, where compression is chosen
    std::string& what_;                 ///< the request that is being handled, for the activity and the log
    Framing framing_;                   ///< of the request that is being handled
    std::uint64_t request_began_ = 0;
    std::uint64_t phase_began_ = 0;
    Phase phase_ = Phase::idle;
    Next next_ = Next::read;
};

extern template class HttpConnection<PlainStream>;
extern template class HttpConnection<TlsStream>;

}  // namespace signalbox::server
