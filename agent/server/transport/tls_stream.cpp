#include "agent/server/transport/tls_stream.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <cstring>
#include <new>

namespace signalbox::server {

namespace {

constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;
/// Encrypted in one go, before other connections have their turn.
constexpr std::size_t kMostPerTurn = 256 * 1024;

/// The next record's content: from `head` and `body` as if they were one, copied only where they meet.
std::string_view next_record(std::string_view head, std::string_view body) {
    static thread_local char joined[kRecord];
    if (head.empty()) return body.substr(0, kRecord);
    if (body.empty() || head.size() >= kRecord) return head.substr(0, kRecord);
    const std::size_t more = std::min(body.size(), kRecord - head.size());
    std::memcpy(joined, head.data(), head.size());
    std::memcpy(joined + head.size(), body.data(), more);
    return {joined, head.size() + more};
}

}  // namespace

TlsStream::TlsStream(Socket socket, SSL_CTX* context) : socket_(std::move(socket)), ssl_(SSL_new(context)) {
    if (!ssl_ || SSL_set_fd(ssl_.get(), socket_.native_handle()) != 1) throw std::bad_alloc();
    SSL_set_accept_state(ssl_.get());
}

TlsStream::Wants TlsStream::handshake(error_code& ec) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    return result == 1 ? Wants::nothing : explain(result, ec);
}

std::size_t TlsStream::read_now(char* to, std::size_t size, error_code& ec) {
    if (!ssl_) {
        ec = boost::asio::error::operation_aborted;
        return 0;
    }
    ERR_clear_error();
    std::size_t bytes = 0;
    const int result = SSL_read_ex(ssl_.get(), to, size, &bytes);
    if (result != 1) blocked_by_ = explain(result, ec);
    return bytes;
}

std::size_t TlsStream::write_now(std::string_view head, std::string_view body, error_code& ec) {
    if (!ssl_) {
        ec = boost::asio::error::operation_aborted;
        return 0;
    }
    std::size_t total = 0;
    blocked_by_ = Wants::room;
    while (total < kMostPerTurn && !(head.empty() && body.empty())) {
        const std::string_view record = next_record(head, body);
        std::size_t bytes = 0;
        ERR_clear_error();
        const int result = SSL_write_ex(ssl_.get(), record.data(), record.size(), &bytes);
        if (result != 1) {
            blocked_by_ = explain(result, ec);
            return total;
        }
        total += bytes;
        const std::size_t of_head = std::min(bytes, head.size());
        head.remove_prefix(of_head);
        body.remove_prefix(bytes - of_head);
    }
    return total;
}

TlsStream::Wants TlsStream::explain(int result, error_code& ec) {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return Wants::input;
        case SSL_ERROR_WANT_WRITE:
            return Wants::room;
        case SSL_ERROR_ZERO_RETURN:
            ec = boost::asio::error::eof;
            return Wants::nothing;
        case SSL_ERROR_SYSCALL:
            ec = errno ? error_code(errno, boost::system::system_category())
                       : error_code(boost::asio::error::connection_reset);
            break;
        default:  // an end without close_notify, too: the peer, or somebody between, has cut it off
            ec = boost::asio::ssl::error::stream_truncated;
    }
    broken_ = true;
    return Wants::nothing;
}

void TlsStream::say_goodbye() {
    if (!ssl_) return;
    if (!broken_ && SSL_is_init_finished(ssl_.get())) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
    }
    ssl_.reset();
}

void TlsStream::close() {
    say_goodbye();
    socket_.close();
}

int TlsStream::release() {
    say_goodbye();
    return socket_.release();
}

HandshakeResult handshake_failure() {
    const unsigned long error = ERR_peek_error();
    if (error == 0) return HandshakeResult::disconnected;
    switch (const int reason = ERR_GET_REASON(error)) {
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
            return HandshakeResult::disconnected;
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        case SSL_R_EXCESSIVE_MESSAGE_SIZE:
            return HandshakeResult::client_certificate;
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_VERSION_TOO_LOW:
        case SSL_R_WRONG_SSL_VERSION:
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_NO_SUITABLE_GROUPS:
        case SSL_R_NO_APPLICATION_PROTOCOL:
        case SSL_R_INAPPROPRIATE_FALLBACK:
            return HandshakeResult::no_common_ground;
        default:
            return ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET
                       ? HandshakeResult::refused_by_client
                       : HandshakeResult::malformed;
    }
}

}  // namespace signalbox::server
