// One HTTP/1.x connection: reads requests, has them answered in order, writes the responses.
//
// A cycle of four steps, driven by callbacks: advance() parses and answers what has been read, until it needs
// more input, has enough output, or meets a coroutine handler; the output is written; then next_ says how it
// goes on. A request and its response are never under way at once on both sides, so nothing here needs a
// queue. Each phase has its own deadline.
#pragma once

#include <memory>
#include <string>

#include "agent/server/http_parser.hpp"
#include "agent/server/plain_stream.hpp"
#include "agent/server/read_buffer.hpp"
#include "agent/server/transport/tls_stream.hpp"
#include "agent/server/worker.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

template <class Stream>
class HttpConnection final : public OpenConnection,
                             public std::enable_shared_from_this<HttpConnection<Stream>> {
public:
    HttpConnection(WorkerContext& context, std::shared_ptr<const HttpListener> listener, Stream stream,
                   std::string peer);
    ~HttpConnection() override;

    void start(std::uint64_t now);

    void deadline_passed(std::uint64_t now) override;
    void close_if_idle(std::uint64_t now, std::chrono::nanoseconds least) override;

private:
    using error_code = boost::system::error_code;

    enum class Phase { idle, header, body, handling, writing, closed };
    enum class Next {
        read,      ///< more input is needed
        advance,   ///< input is there, but others go first
        dispatch,  ///< a coroutine handler is to be started
        close,     ///< after the output
        linger,    ///< after the output, and the client may still be sending
    };

    void enter(Phase phase, std::uint64_t now);
    void read();
    void received(error_code ec, std::size_t bytes);
    void run(std::uint64_t now);
    Next advance(std::uint64_t& now);
    void follow(std::uint64_t now);

    bool write_out(std::uint64_t now);
    void write_rest();
    void written(error_code ec, std::size_t bytes);
    bool output_sent(std::size_t bytes);
    std::string_view rest_of_head() const;
    std::string_view rest_of_body() const;

    bool begin_body(std::uint64_t& now);
    Next answer(std::uint64_t& now);
    Response call(const Handler& handler, std::uint64_t now);
    void dispatch(std::uint64_t now);
    void dispatched(const std::exception_ptr& failure, Response response);
    Response handler_failed(const std::exception_ptr& failure);
    Next respond(Response response, Framing framing, std::uint64_t now);
    Next put_out(Response response, Framing framing);
    Next refuse(const Refusal& refusal);
    void finish(Next how, std::uint64_t now);

    WorkerContext& context_;
    const std::shared_ptr<const HttpListener> listener_;
    const std::string peer_;
    telemetry::ConnectionSlot shown_;
    Stream stream_;
    ReadBuffer input_;
    Request request_;
    RequestParser parser_;
    std::string head_;      ///< output: responses that are whole, or the header of the last one …
    std::string body_;      ///< … whose body is long enough not to be copied
    std::size_t sent_ = 0;  ///< of head_ and body_ together
    const AsyncHandler* async_handler_ = nullptr;
    std::string what_;  ///< the request that is being handled, for the activity and the log
    Framing framing_;   ///< of the request that is being handled
    std::uint64_t request_began_ = 0;
    std::uint64_t phase_began_ = 0;
    Phase phase_ = Phase::idle;
    Next next_ = Next::read;
};

extern template class HttpConnection<PlainStream>;
extern template class HttpConnection<TlsStream>;

}  // namespace signalbox::server
