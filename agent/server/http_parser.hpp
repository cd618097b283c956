// Bytes in, requests out: HTTP/1.0 and 1.1 (RFC 9112), without any input or output of its own.
//
//     RequestParser parser(limits, request);
//     auto [status, consumed] = parser.parse(unread);       // takes from the front of `unread`
//     if (status == RequestParser::Status::complete) answer(request), parser.reset();
//
// The body collects in Request::body. Whoever wants it in pieces says so after the header, and takes away and
// clears between two calls what has come in.
//
// Boost.Beast tokenises the header; what it lets pass and a proxy in front might read differently is refused
// here: line ends without CR, folded lines, any Transfer-Encoding but "chunked", a Content-Length that is
// repeated, signed or a list, both of them together, a Host that is missing, repeated or no host. Nothing is
// repaired: a request is understood or refused.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <optional>
#include <string_view>

#include "agent/server/chunk_decoder.hpp"
#include "agent/server/refusal.hpp"
#include "signalbox/group.hpp"

namespace signalbox::server {

/// What Beast's parser calls; fills the request. It sees the header only.
class MessageParser final : public boost::beast::http::basic_parser<true> {
public:
    MessageParser(const HttpLimits& limits, Request& request) : limits_(limits), request_(request) {
        header_limit(UINT32_MAX);  // RequestParser has counted already
        body_limit(boost::none);
    }

    const Refusal& refusal() const { return refusal_; }
    bool expects_continue() const { return expects_continue_; }
    /// Not keep_alive(): Beast keeps an HTTP/1.0 connection that says "close" too, and listens to
    /// Proxy-Connection.
    bool stays_open() const { return !says_close_ && (request_.version >= 11 || says_keep_alive_); }
    std::uint64_t body_length() const { return content_length_; }

private:
    using error_code = boost::beast::error_code;
    using string_view = boost::beast::string_view;

    void refuse(error_code& ec, int status, const char* reason);
    void take_content_length(string_view value, error_code& ec);
    void take_host(string_view value, error_code& ec);

    void on_request_impl(boost::beast::http::verb, string_view method, string_view target, int version,
                         error_code& ec) override;
    void on_response_impl(int, string_view, int, error_code&) override {}
    void on_field_impl(boost::beast::http::field name, string_view name_string, string_view value,
                       error_code& ec) override;
    void on_header_impl(error_code& ec) override;
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(string_view, error_code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view, error_code&) override { return 0; }
    void on_finish_impl(error_code&) override {}

    const HttpLimits& limits_;
    Request& request_;
    Refusal refusal_;
    std::uint64_t content_length_ = 0;
    bool has_length_ = false;
    bool has_coding_ = false;
    bool has_host_ = false;
    bool expects_continue_ = false;
    bool says_close_ = false;
    bool says_keep_alive_ = false;
};

class RequestParser {
public:
    enum class Status {
        need_more,  ///< all that could be used is consumed
        header,     ///< the header is complete and a body follows; said once
        complete,   ///< the request is complete
        refused,    ///< see refusal(); nothing can be made of what follows
    };
    struct Result {
        Status status;
        std::size_t consumed;  ///< of the front of the input, not to be presented again
    };

    /// Both outlive the parser.
    RequestParser(const HttpLimits& limits, Request& request)
        : limits_(limits), request_(request), body_limit_(static_cast<std::size_t>(limits.body)) {}

    /// `input` begins where the last call stopped consuming. Not to be called again after `refused`, nor
    /// after `complete` before reset().
    Result parse(std::string_view input);
    /// After `header`: the body is taken in pieces, and HttpLimits::streamed_body holds.
    void read_in_pieces() {
        in_pieces_ = true;
        body_limit_ = static_cast<std::size_t>(limits_.streamed_body);
    }
    /// The next request begins. Keeps what is allocated.
    void reset();

    const Refusal& refusal() const { return refusal_; }
    /// Whether some of a request has been seen.
    bool started() const { return started_; }
    bool in_body() const { return message_.has_value(); }
    /// After `header` or `complete`: what the client wants of the connection, and whether it waits for "100
    /// Continue".
    bool keep_alive() const { return stays_open_; }
    bool expects_continue() const { return message_ && message_->expects_continue(); }
    /// After `header`: the body's length, if the client has said it; whether that is refused.
    std::optional<std::uint64_t> body_length() const {
        return chunks_ ? std::nullopt : std::optional(message_->body_length());
    }
    bool body_too_large() const { return !chunks_ && message_->body_length() > body_limit_; }

private:
    Result refuse(int status, const char* reason);
    Result parse_header(std::string_view input);
    Result parse_body(std::string_view input);
    Result parse_chunks(std::string_view input);
    Refusal check_lines(std::string_view input, std::size_t& header_end);
    Refusal explain(std::string_view header, boost::beast::error_code ec) const;

    const HttpLimits& limits_;
    Request& request_;
    std::optional<MessageParser> message_;
    std::optional<ChunkDecoder> chunks_;
    Refusal refusal_;
    std::size_t scanned_ = 0;     ///< bytes of the header that have been looked at
    std::size_t line_begin_ = 0;  ///< of the line that they end in
    std::size_t body_limit_;
    std::uint64_t body_received_ = 0;  ///< of a body whose length is known
    bool started_ = false;
    bool stays_open_ = false;  ///< kept, since the request may be taken away
    bool in_pieces_ = false;
};

}  // namespace signalbox::server
