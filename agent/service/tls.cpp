#include "agent/service/tls.hpp"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <stdexcept>

#include "agent/service/service.hpp"

namespace signalbox::service {
namespace ssl = boost::asio::ssl;
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& file,
                         const boost::system::error_code& error) {
    throw std::invalid_argument("agent TLS " + what + " '" + file + "': " + error.message());
}

}  // namespace

ssl::context make_tls_context(const AgentTls& tls) {
    ssl::context context(ssl::context::tlsv13_server);
    boost::system::error_code error;
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_3_VERSION);
    // Nothing is resumed: every connection shows its certificate and has it verified anew.
    SSL_CTX_set_session_cache_mode(context.native_handle(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.native_handle(), 0);

    if (context.use_certificate_chain_file(tls.certificate, error); error)
        refuse("certificate", tls.certificate, error);
    if (context.use_private_key_file(tls.key, ssl::context::pem, error); error) refuse("key", tls.key, error);
    if (SSL_CTX_check_private_key(context.native_handle()) != 1)
        throw std::invalid_argument("agent TLS key '" + tls.key + "' does not belong to certificate '" +
                                    tls.certificate + "'");
    if (context.load_verify_file(tls.client_authority, error); error)
        refuse("client authority", tls.client_authority, error);
    context.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
    return context;
}

void check_tls(const AgentTls& tls) {
    make_tls_context(tls);
}

std::optional<std::string> peer_common_name(const SSL* ssl) {
    if (SSL_get_verify_result(ssl) != X509_V_OK) return {};
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl), &X509_free);
    if (!certificate) return {};
    const X509_NAME* subject = X509_get_subject_name(certificate.get());
    const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (index < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, index) >= 0) return {};
    unsigned char* text = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
    if (size < 0) return {};
    std::string name(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
    // A zero within could make one name look like another to whoever reads it as a C string.
    if (name.empty() || name.find('\0') != std::string::npos) return {};
    return name;
}

}  // namespace signalbox::service
