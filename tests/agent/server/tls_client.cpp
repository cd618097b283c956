#include "tls_client.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "agent/server/address.hpp"

using namespace signalbox::server;

namespace {

int connected(const std::string& address) {
    const auto to = parse_address(address);
    const int socket = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0) return socket;
    const int error = errno;
    ::close(socket);
    throw std::system_error(error, std::generic_category(), "connect to " + address);
}

void check(bool good, const char* what) {
    if (!good) throw std::runtime_error(std::string("the TLS client cannot ") + what);
}

}  // namespace

TlsClient::TlsClient(int socket, const Identity& identity) : socket_(socket) {
    ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
    const TlsContext context(SSL_CTX_new(TLS_client_method()));
    if (identity.version != 0) SSL_CTX_set_max_proto_version(context.get(), identity.version);
    if (!identity.certificate.empty())
        check(SSL_CTX_use_certificate_chain_file(context.get(), identity.certificate.c_str()) == 1 &&
                  SSL_CTX_use_PrivateKey_file(context.get(), identity.key.c_str(), SSL_FILETYPE_PEM) == 1,
              "use its certificate");
    ssl_.reset(SSL_new(context.get()));
    check(ssl_ && SSL_set_fd(ssl_.get(), socket) == 1, "be made");
    SSL_set_connect_state(ssl_.get());
    if (identity.session) check(SSL_set_session(ssl_.get(), identity.session) == 1, "use its session");
    check(advance() || !failed_, "say hello");  // the answer may be there already
}

TlsClient::TlsClient(const std::string& address, const Identity& identity)
    : TlsClient(connected(address), identity) {}

TlsClient::TlsClient(TlsClient&& other) noexcept
    : ssl_(std::move(other.ssl_)), socket_(std::exchange(other.socket_, -1)), failed_(other.failed_) {}

/// As if it had said goodbye: OpenSSL resumes no session of a connection that was cut off.
TlsClient::~TlsClient() {
    if (ssl_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    if (socket_ >= 0) ::close(socket_);
}

bool TlsClient::advance() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return true;
    const int why = SSL_get_error(ssl_.get(), result);
    failed_ = why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
    return false;
}

bool TlsClient::wait(int result) {
    const int why = SSL_get_error(ssl_.get(), result);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return false;
    pollfd entry{socket_, static_cast<short>(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT), 0};
    if (::poll(&entry, 1, 20'000) != 1) throw std::runtime_error("the TLS client waits in vain");
    return true;
}

bool TlsClient::connect() {
    for (;;) {
        ERR_clear_error();
        const int result = SSL_do_handshake(ssl_.get());
        if (result == 1) return true;
        if (!wait(result)) return false;
    }
}

std::string TlsClient::ask(std::string_view request) {
    ERR_clear_error();
    std::size_t bytes = 0;
    int result = 0;
    while ((result = SSL_write_ex(ssl_.get(), request.data(), request.size(), &bytes)) != 1)
        if (!wait(result)) return {};
    std::string answer;
    char buffer[4096];
    for (;;) {
        ERR_clear_error();
        result = SSL_read_ex(ssl_.get(), buffer, sizeof buffer, &bytes);
        if (result == 1)
            answer.append(buffer, bytes);
        else if (!wait(result))
            return answer;
    }
}

std::string TlsClient::server() const {
    char name[256] = "";
    if (const X509* const certificate = SSL_get0_peer_certificate(ssl_.get()))
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    return name;
}
