#include "common/client/transport.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

namespace signalbox::client {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using boost::system::error_code;

void check_file(const error_code& error, const std::string& what, const std::string& file) {
    if (error) throw ConnectionProblem("cannot use " + what + " '" + file + "': " + error.message());
}

/// Made anew for each connection, so that renewed certificates are taken up.
ssl::context make_context(const TlsFiles& files) {
    ssl::context context(ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_3_VERSION);
    context.set_verify_mode(ssl::verify_peer);
    error_code error;
    if (files.authority.empty()) {
        context.set_default_verify_paths(error);
    } else {
        context.load_verify_file(files.authority, error);
    }
    check_file(error, "the certificate authority", files.authority);
    if (!files.certificate.empty()) {
        context.use_certificate_chain_file(files.certificate, error);
        check_file(error, "the client certificate", files.certificate);
        const std::string& key = files.key.empty() ? files.certificate : files.key;
        context.use_private_key_file(key, ssl::context::pem, error);
        check_file(error, "the private key", key);
    }
    return context;
}

/// Why the peer's certificate was refused; nothing when that was not the reason.
std::string verification_problem(SSL* tls, const std::string& host) {
    const long result = SSL_get_verify_result(tls);
    if (result == X509_V_OK) return {};
    if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
        return "the agent's certificate is not for '" + host + "'";
    return std::string("the agent's certificate is not trusted: ") + X509_verify_cert_error_string(result);
}

/// OpenSSL's own check of the name, which leaves a reason behind that people can read.
void expect_host(SSL* tls, const std::string& host) {
    error_code is_name;
    asio::ip::make_address(host, is_name);
    if (is_name) {
        SSL_set_tlsext_host_name(tls, host.c_str());
        SSL_set1_host(tls, host.c_str());
    } else {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host.c_str());
    }
}

}  // namespace

asio::awaitable<void> Transport::connect(const Url& url, const TlsFiles& files) {
    co_await connect_socket(url);
    if (url.scheme == Url::Scheme::tls) co_await start_tls(url, files);
}

asio::awaitable<void> Transport::connect_socket(const Url& url) {
    std::vector<asio::generic::stream_protocol::endpoint> endpoints;
    if (url.scheme == Url::Scheme::unix_socket) {
        endpoints.emplace_back(asio::local::stream_protocol::endpoint(url.path));
    } else {
        asio::ip::tcp::resolver resolver(get_executor());
        const auto found =
            co_await resolver.async_resolve(url.host, std::to_string(url.port), asio::use_awaitable);
        for (const auto& entry : found)
            endpoints.emplace_back(entry.endpoint());
    }
    // A look-up cannot be interrupted; connecting would open the socket again.
    if (closed_) throw boost::system::system_error(asio::error::operation_aborted);
    co_await asio::async_connect(socket_, endpoints, asio::use_awaitable);
    if (url.scheme == Url::Scheme::tls) socket_.set_option(asio::ip::tcp::no_delay(true));
}

asio::awaitable<void> Transport::start_tls(const Url& url, const TlsFiles& files) {
    tls_context_.emplace(make_context(files));
    tls_.emplace(socket_, *tls_context_);
    expect_host(tls_->native_handle(), url.host);
    error_code error;
    co_await tls_->async_handshake(ssl::stream_base::client,
                                   asio::redirect_error(asio::use_awaitable, error));
    if (!error) co_return;
    const std::string problem = verification_problem(tls_->native_handle(), url.host);
    if (!problem.empty()) throw ConnectionProblem(problem);
    throw boost::system::system_error(error);
}

void Transport::close() noexcept {
    closed_ = true;
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace signalbox::client
