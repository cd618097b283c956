// Random bytes as what a client says first to a TLS listener: told from plain text, then taken by a handshake. What
// fails must say so, the reason must be one of those that are counted, and no wait may be for nothing.
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <cstdlib>

#include "agent/server/transport/sniff.hpp"
#include "agent/server/transport/tls_stream.hpp"

using namespace signalbox;
using namespace signalbox::server;

namespace {

void check(bool condition) {
    if (!condition) std::abort();
}

/// With a certificate that nobody has to believe.
SSL_CTX* make_context() {
    SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    X509* const certificate = X509_new();
    X509_set_pubkey(certificate, key);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    check(X509_sign(certificate, key, EVP_sha256()) > 0);
    check(SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1);
    return context;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || !begins_tls(static_cast<char>(data[0]))) return 0;
    boost::asio::io_context io;
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    check(::send(ends[1], data, size, MSG_NOSIGNAL) >= 0);
    ::shutdown(ends[1], SHUT_WR);
    PlainStream::Socket socket(io.get_executor());
    socket.assign({AF_UNIX, 0}, ends[0]);
    static SSL_CTX* const context = make_context();
    TlsStream stream(std::move(socket), context);
    boost::system::error_code ec;
    check(stream.handshake(ec) != TlsStream::Wants::input);  // all has been said, and the end of it
    check(ec.failed());
    check(handshake_failure() < HandshakeResult::kCount);
    check(handshake_failure() != HandshakeResult::full);
    stream.close();
    ::close(ends[1]);
    return 0;
}
