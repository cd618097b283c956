// A TLS client that says its hello and leaves it at that until the test wants it to go on, so that many can be in the
// middle of a handshake at a time.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "agent/server/transport/tls_context.hpp"

class TlsClient {
public:
    using Session = std::unique_ptr<SSL_SESSION, signalbox::server::FreeWith<SSL_SESSION_free>>;
    /// PEM files of the client's certificate, if it has one; a session to be resumed, if there is one.
    struct Identity {
        std::string certificate{};
        std::string key{};
        SSL_SESSION* session = nullptr;
        int version = 0;  ///< TLS1_2_VERSION, or what both speak
    };

    /// Takes a connected socket, and says hello. Trusts everybody. Throws std::runtime_error.
    explicit TlsClient(int socket) : TlsClient(socket, Identity{}) {}
    TlsClient(int socket, const Identity& identity);
    /// Connects before: as signalbox::server::bind_listener writes addresses.
    explicit TlsClient(const std::string& address) : TlsClient(address, Identity{}) {}
    TlsClient(const std::string& address, const Identity& identity);
    TlsClient(TlsClient&& other) noexcept;
    TlsClient& operator=(const TlsClient&) = delete;
    ~TlsClient();

    /// Goes on with the handshake as far as that is possible without waiting; true when it is complete.
    bool advance();
    /// Until it is complete; false when the server ends it. Throws std::runtime_error when nothing comes for 20 seconds.
    bool connect();
    /// Sends it and reads to the end of the connection, whatever that is like.
    std::string ask(std::string_view request);
    bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
    /// The common name of its certificate.
    std::string server() const;
    Session session() const { return Session(SSL_get1_session(ssl_.get())); }

private:
    /// After an operation that has not succeeded: waits for what it wants. False when that is nothing.
    bool wait(int result);

    std::unique_ptr<SSL, signalbox::server::FreeWith<SSL_free>> ssl_;
    int socket_;
    bool failed_ = false;
};
