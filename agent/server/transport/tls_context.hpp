// An OpenSSL context for a listener. Only in workers, and in the child that checks the options: the arbiter
// never calls OpenSSL.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "agent/server/transport/ticket_keys.hpp"
#include "agent/server/transport/tls_files.hpp"
#include "signalbox/transport.hpp"

namespace signalbox::server {

template <auto free>
struct FreeWith {
    template <class T>
    void operator()(T* object) const {
        free(object);
    }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;

/// What the callbacks of a context use. Outlives the context and every handshake with it.
///
/// Made by the event loop's thread. Handshakes may be under way in that and in one other thread at a time. Each has
/// ticket keys of its own: the loop's are read without a lock.
struct TlsCallbackState {
    explicit TlsCallbackState(const TlsOptions& options);

    /// Takes over what is new, for both threads, so that no copy of a key outlives it. In the loop's thread.
    /// False: not now, as TicketKeys::copy_to().
    bool renew_tickets(const TicketKeys& keys);

    const std::thread::id loop = std::this_thread::get_id();
    TicketKeyRing tickets{};  ///< the loop's
    std::mutex off_loop;      ///< guards the other thread's:
    TicketKeyRing tickets_off_loop{};
    std::string protocols;  ///< as ALPN writes them: each behind its length
    std::unique_ptr<EVP_CIPHER, FreeWith<EVP_CIPHER_free>>
        cipher;  ///< of tickets; fetched once, which is slow
};

/// Checks that the files belong together. Throws std::invalid_argument that names the file, the
/// reason and the way out.
TlsContext make_tls_context(const TlsOptions& options, const TlsFiles& files, TlsCallbackState& state);

/// "CN = example.org, valid until Nov 21 07:00:00 2027 GMT": the certificate that it serves.
std::string describe_certificate(const SSL_CTX& context);

/// "CN=alice,O=Example": of a certificate that has been verified, as RFC 4514 writes names.
std::string subject_of(const X509& certificate);

/// Lets `context` encrypt and read tickets with `state.tickets`.
void use_shared_tickets(SSL_CTX& context, TlsCallbackState& state);

/// Whether these options would do: throws as make_tls_context() does, but leaves this process without a trace of
/// OpenSSL, since a child does it. Also throws std::invalid_argument for what needs no file to be wrong.
void check_tls_options(const TlsOptions& options);

}  // namespace signalbox::server
