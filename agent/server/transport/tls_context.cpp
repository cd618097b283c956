#include "agent/server/transport/tls_context.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <new>
#include <stdexcept>

namespace signalbox::server {

namespace {

/// AEAD and forward secrecy only; those of TLS 1.3 are all of that kind.
constexpr const char* kCiphers12 = "ECDHE+AESGCM:ECDHE+CHACHA20";
/// The cheapest first. A client that sends a share of another of these is answered with that.
constexpr const char* kGroups = "X25519:P-256:P-384";
/// One: a resumed connection gets the next, and every handshake would pay for a second.
constexpr std::size_t kTickets = 1;
constexpr std::size_t kMostClientCertificates = 16 * 1024;  ///< bytes, in one handshake

std::string last_reason() {
    const unsigned long error = ERR_peek_error();
    const char* const reason = error ? ERR_reason_error_string(error) : nullptr;
    std::string text = reason ? reason : "OpenSSL gives no reason";
    ERR_clear_error();
    return text;
}

[[noreturn]] void refuse(std::string_view what, const std::string& file, std::string_view reason,
                         std::string_view way_out) {
    throw std::invalid_argument(fmt::format("TLS {} '{}': {}; {}", what, file, reason, way_out));
}

/// Never asks the terminal.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;

Bio reader_of(const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO& written) {
    char* text = nullptr;
    const long size = BIO_get_mem_data(&written, &text);
    return {text, static_cast<std::size_t>(size)};
}

/// Null at the end; also at something malformed, for which there is then a reason.
Certificate next_certificate(BIO& from) {
    Certificate certificate(PEM_read_bio_X509(&from, nullptr, no_passphrase, nullptr));
    const unsigned long error = ERR_peek_last_error();
    if (!certificate && ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
        ERR_clear_error();
    return certificate;
}

void load_certificate(SSL_CTX& context, const TlsOptions& options, const TlsFiles& files) {
    constexpr auto kWayOut = "it must hold PEM certificates, the server's first";
    const Bio from = reader_of(files.certificate);
    const Certificate own = next_certificate(*from);
    if (!own && ERR_peek_error() == 0)
        refuse("certificate", options.certificate, "there is no certificate in it", kWayOut);
    if (!own || SSL_CTX_use_certificate(&context, own.get()) != 1)
        refuse("certificate", options.certificate, last_reason(), kWayOut);
    while (Certificate signer = next_certificate(*from))
        if (SSL_CTX_add0_chain_cert(&context, signer.get()) == 1) static_cast<void>(signer.release());
    if (ERR_peek_error() != 0) refuse("certificate", options.certificate, last_reason(), kWayOut);
}

void load_key(SSL_CTX& context, const TlsOptions& options, const TlsFiles& files) {
    constexpr auto kWayOut = "it must hold one PEM key without a passphrase";
    const std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>> key(
        PEM_read_bio_PrivateKey(reader_of(files.key).get(), nullptr, no_passphrase, nullptr));
    if (!key) refuse("key", options.key, last_reason(), kWayOut);
    if (SSL_CTX_use_PrivateKey(&context, key.get()) == 1 && SSL_CTX_check_private_key(&context) == 1) return;
    // Keys of different types leave the certificate's place without a key: "no private key assigned".
    ERR_clear_error();
    refuse("key", options.key, fmt::format("it does not belong to certificate '{}'", options.certificate),
           "give the key that the certificate was made for");
}

void load_client_authority(SSL_CTX& context, const TlsOptions& options, const TlsFiles& files) {
    if (options.client_certificates == ClientCertificates::none) return;
    constexpr auto kWayOut = "it must hold the PEM certificates of those who sign the clients' certificates";
    const Bio from = reader_of(files.client_authority);
    bool any = false;
    while (const Certificate authority = next_certificate(*from)) {
        any = X509_STORE_add_cert(SSL_CTX_get_cert_store(&context), authority.get()) == 1 &&
              SSL_CTX_add_client_CA(&context, authority.get()) == 1;
        if (!any) break;
    }
    if (ERR_peek_error() != 0) refuse("client authority", options.client_authority, last_reason(), kWayOut);
    if (!any) refuse("client authority", options.client_authority, "there is no certificate in it", kWayOut);
    const bool required = options.client_certificates == ClientCertificates::required;
    SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    SSL_CTX_set_max_cert_list(&context, kMostClientCertificates);
}

/// Sessions of clients that another authority has vouched for are not resumed: they carry that authority's mark.
void set_session_mark(SSL_CTX& context, const TlsFiles& files) {
    unsigned char mark[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(files.client_authority.data(), files.client_authority.size(), mark, &size, EVP_sha256(),
               nullptr);
    SSL_CTX_set_session_id_context(&context, mark, size);
}

/// What both sides speak, or an alert: going on with a protocol that the client does not know helps nobody.
int select_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned offered_size, void* argument) {
    const std::string& ours = static_cast<const TlsCallbackState*>(argument)->protocols;
    unsigned char* out = nullptr;
    const int result =
        SSL_select_next_proto(&out, chosen_size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), offered, offered_size);
    *chosen = out;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void set_modes(SSL_CTX& context) {
    SSL_CTX_set_options(&context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                      SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    // Buffers go when a connection is idle. The chain is the file's; looking for a better one in each handshake
    // costs time. Bytes that did not fit may come from elsewhere when they are written again.
    SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
                                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(&context, 1);  // one recv for a record's header and content
    SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);  // tickets only
    SSL_CTX_set_num_tickets(&context, kTickets);
}

}  // namespace

TlsCallbackState::TlsCallbackState(const TlsOptions& options)
    : cipher(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)) {
    for (const std::string& protocol : options.protocols) {
        protocols += static_cast<char>(protocol.size());
        protocols += protocol;
    }
}

TlsContext make_tls_context(const TlsOptions& options, const TlsFiles& files, TlsCallbackState& state) {
    ERR_clear_error();
    TlsContext context(SSL_CTX_new(TLS_server_method()));
    if (!context) throw std::bad_alloc();
    SSL_CTX_set_min_proto_version(
        context.get(), options.least_version == TlsVersion::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context.get(), kCiphers12);
    SSL_CTX_set1_groups_list(context.get(), kGroups);
    set_modes(*context);
    load_certificate(*context, options, files);
    load_key(*context, options, files);
    load_client_authority(*context, options, files);
    set_session_mark(*context, files);
    if (!state.protocols.empty()) SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, &state);
    // A ticket outlives the key that it was made with by two rotations at most.
    SSL_CTX_set_timeout(context.get(), 2 * options.ticket_rotation.count());
    use_shared_tickets(*context, state);
    return context;
}

std::string subject_of(const X509& certificate) {
    const Bio out(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(out.get(), X509_get_subject_name(&certificate), 0,
                       XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    return text_of(*out);
}

std::string describe_certificate(const SSL_CTX& context) {
    const X509* const certificate = SSL_CTX_get0_certificate(&context);
    const Bio out(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0,
                       XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    BIO_puts(out.get(), ", valid until ");
    ASN1_TIME_print(out.get(), X509_get0_notAfter(certificate));
    return text_of(*out);
}

}  // namespace signalbox::server
