#include "agent/server/http_parser.hpp"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <cstring>

#include "agent/server/field_list.hpp"
#include "agent/server/token.hpp"
#include "agent/server/uri.hpp"

namespace signalbox::server {

namespace http = boost::beast::http;

namespace {

constexpr std::size_t kMaxFields = 128;
/// A body of a known length is allocated at once up to here; beyond, it grows as it comes in.
constexpr std::size_t kMaxReserve = 1 << 20;

bool is_decimal(char c) {
    return c >= '0' && c <= '9';
}

/// "GET / HTTP/2.0": well-formed, but a version that is not spoken here. HTTP/2's preface is no request.
bool names_other_version(std::string_view line) {
    if (line.starts_with("PRI ") || std::count(line.begin(), line.end(), ' ') != 2) return false;
    const std::string_view version = line.substr(line.rfind(' ') + 1);
    return version.size() == 8 && version.starts_with("HTTP/") && is_decimal(version[5]) &&
           version[6] == '.' && is_decimal(version[7]);
}

}  // namespace

void MessageParser::refuse(error_code& ec, int status, const char* reason) {
    refusal_ = {status, reason};
    ec = http::error::bad_field;
}

void MessageParser::on_request_impl(http::verb, string_view method, string_view target, int version,
                                    error_code& ec) {
    request_.method.assign(method.data(), method.size());
    request_.target.assign(target.data(), target.size());
    request_.version = version;
    if (!server::parse_target(request_.method, request_.target, request_.path, request_.query))
        refuse(ec, 400, "malformed target");
}

void MessageParser::on_field_impl(http::field name, string_view name_string, string_view value,
                                  error_code& ec) {
    if (request_.headers.size() == kMaxFields) return refuse(ec, 431, "too many header fields");
    switch (name) {
        case http::field::content_length:
            take_content_length(value, ec);
            break;
        case http::field::transfer_encoding:
            if (has_coding_ || !boost::beast::iequals(value, "chunked"))
                return refuse(ec, 400, "Transfer-Encoding other than 'chunked'");
            has_coding_ = true;
            break;
        case http::field::host:
            take_host(value, ec);
            break;
        case http::field::connection:
            for_each_member({value.data(), value.size()}, [this](std::string_view option) {
                says_close_ = says_close_ || same_word(option, "close");
                says_keep_alive_ = says_keep_alive_ || same_word(option, "keep-alive");
            });
            break;
        case http::field::expect:
            if (!boost::beast::iequals(value, "100-continue"))
                return refuse(ec, 417, "Expect other than '100-continue'");
            expects_continue_ = request_.version >= 11;
            break;
        default:
            break;
    }
    request_.headers.add({name_string.data(), name_string.size()}, {value.data(), value.size()});
}

void MessageParser::take_content_length(string_view value, error_code& ec) {
    if (has_length_) return refuse(ec, 400, "repeated Content-Length");
    // 18 digits cannot overflow, and no limit comes near them.
    const bool is_number =
        !value.empty() && value.size() <= 18 && std::all_of(value.begin(), value.end(), is_decimal);
    if (!is_number) return refuse(ec, 400, "Content-Length is not a number");
    has_length_ = true;
    for (const char c : value)
        content_length_ = content_length_ * 10 + static_cast<unsigned>(c - '0');
}

void MessageParser::take_host(string_view value, error_code& ec) {
    if (has_host_) return refuse(ec, 400, "repeated Host");
    if (!is_host({value.data(), value.size()})) return refuse(ec, 400, "malformed Host");
    has_host_ = true;
}

void MessageParser::on_header_impl(error_code& ec) {
    if (!has_host_ && request_.version >= 11) return refuse(ec, 400, "no Host");
    if (has_coding_ && has_length_) return refuse(ec, 400, "both Transfer-Encoding and Content-Length");
    if (has_coding_ && request_.version < 11) return refuse(ec, 400, "Transfer-Encoding in HTTP/1.0");
    // RFC 9112, section 3.2.2: what an absolute target says counts, not the Host field.
    const std::string_view authority = authority_of(request_.target);
    if (!authority.empty()) request_.headers.set("Host", authority);
}

RequestParser::Result RequestParser::parse(std::string_view input) {
    return message_ ? parse_body(input) : parse_header(input);
}

void RequestParser::reset() {
    message_.reset();
    chunks_.reset();
    scanned_ = line_begin_ = 0;
    started_ = in_pieces_ = false;
    body_limit_ = static_cast<std::size_t>(limits_.body);
    body_received_ = 0;
    request_.headers.clear();
    request_.body.clear();
}

RequestParser::Result RequestParser::refuse(int status, const char* reason) {
    refusal_ = {status, reason};
    return {Status::refused, 0};
}

RequestParser::Result RequestParser::parse_header(std::string_view input) {
    std::size_t skipped = 0;
    if (scanned_ == 0)  // RFC 9112, section 2.2: empty lines before a request are ignored
        while (input.substr(skipped).starts_with("\r\n"))
            skipped += 2;
    input.remove_prefix(skipped);
    if (input.empty() || (scanned_ == 0 && input == "\r")) return {Status::need_more, skipped};
    started_ = true;
    if (!is_token_character(input.front())) return refuse(400, "not HTTP");

    std::size_t header_end = 0;
    const Refusal refused = check_lines(input, header_end);
    if (refused.status) return refuse(refused.status, refused.reason);
    if (header_end == 0) return {Status::need_more, skipped};

    // Beast sees a header only when it is whole, so that its state for partial ones does not matter.
    const std::string_view header = input.substr(0, header_end);
    message_.emplace(limits_, request_);
    boost::beast::error_code ec;
    message_->put(boost::asio::buffer(header), ec);
    if (ec) {
        const Refusal why = explain(header, ec);
        return refuse(why.status, why.reason);
    }
    stays_open_ = message_->stays_open();
    const Result done{Status::complete, skipped + header_end};
    if (message_->is_done()) return done;
    if (message_->chunked()) chunks_.emplace(static_cast<std::size_t>(limits_.header));
    return {Status::header, done.consumed};
}

/// Looks at the lines that have come in since the last call; `header_end` stays 0 until the empty line is
/// there.
Refusal RequestParser::check_lines(std::string_view input, std::size_t& header_end) {
    const auto limit = static_cast<std::size_t>(limits_.header);
    const Refusal too_long = line_begin_ == 0 && input.substr(0, limit).find('\n') == input.npos
                                 ? Refusal{414, "target too long"}
                                 : Refusal{431, "header too large"};
    while (const void* found = std::memchr(input.data() + scanned_, '\n', input.size() - scanned_)) {
        const auto at = static_cast<std::size_t>(static_cast<const char*>(found) - input.data());
        if (at >= limit) return too_long;
        if (at == 0 || input[at - 1] != '\r') return {400, "a line that does not end in CR LF"};
        scanned_ = at + 1;
        if (at - 1 == line_begin_) {
            header_end = scanned_;
            return {};
        }
        if (input[line_begin_] == ' ' || input[line_begin_] == '\t') return {400, "folded header line"};
        line_begin_ = scanned_;
    }
    scanned_ = input.size();
    return input.size() >= limit ? too_long : Refusal{};
}

Refusal RequestParser::explain(std::string_view header, boost::beast::error_code ec) const {
    if (message_->refusal().status) return message_->refusal();
    if (ec == http::error::bad_version && names_other_version(header.substr(0, header.find('\r'))))
        return {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
    if (ec == http::error::bad_method) return {400, "malformed method"};
    if (ec == http::error::bad_target) return {400, "malformed target"};
    if (ec == http::error::bad_version) return {400, "malformed request line"};
    if (ec == http::error::bad_content_length || ec == http::error::multiple_content_length)
        return {400, "Content-Length is not one number"};
    if (ec == http::error::bad_transfer_encoding) return {400, "Transfer-Encoding other than 'chunked'"};
    return {400, "malformed header field"};
}

RequestParser::Result RequestParser::parse_body(std::string_view input) {
    if (body_too_large()) return refuse(413, "body too large");
    if (chunks_) return parse_chunks(input);
    const std::uint64_t length = message_->body_length();
    if (body_received_ == 0 && !in_pieces_) request_.body.reserve(std::min<std::size_t>(length, kMaxReserve));
    const std::string_view part = input.substr(0, length - body_received_);
    request_.body += part;
    body_received_ += part.size();
    return {body_received_ == length ? Status::complete : Status::need_more, part.size()};
}

RequestParser::Result RequestParser::parse_chunks(std::string_view input) {
    const std::size_t consumed = chunks_->decode(input, body_limit_, request_.body);
    if (chunks_->refusal().status) return refuse(chunks_->refusal().status, chunks_->refusal().reason);
    return {chunks_->done() ? Status::complete : Status::need_more, consumed};
}

}  // namespace signalbox::server
