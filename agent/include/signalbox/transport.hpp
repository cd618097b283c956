// What lies between a listener's socket and the protocol that is served there: TLS, a proxy's announcement of
// the client. Any protocol can be served over any of it.
//
//     signalbox::ListenerOptions options;
//     options.tls = signalbox::TlsOptions{.certificate = "/etc/hello/fullchain.pem", .key = "/etc/hello/key.pem"};
//     options.proxy = signalbox::ProxyOptions{.trusted = {"10.0.0.0/8"}};
//     group.http("*:8443", router, options);
//
// The workers look at the certificate's files once a second. What has changed, and has then stayed as it is
// for a second, is checked and served from the next handshake on; what cannot be used is refused with the
// event `tls_reload_failed`, and the old certificate stays. No restart, no signal, no connection lost.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace signalbox {

enum class TlsVersion { tls_1_2, tls_1_3 };

enum class TlsPolicy {
    required,  ///< who speaks plain HTTP gets 400, which says that this port speaks TLS
    optional,  ///< whoever begins with a TLS handshake gets TLS, others plain text: the first byte decides
};

enum class ClientCertificates {
    none,      ///< are not asked for
    optional,  ///< who shows one must show one that client_authority has signed
    required,
};

/// PEM files, which must be readable for the workers, also later. A worker that starts while they are of no use serves
/// what was good last.
struct TlsOptions {
    std::string certificate{};  ///< the server's, then those that lead to the root
    std::string key{};
    TlsPolicy policy = TlsPolicy::required;
    TlsVersion least_version = TlsVersion::tls_1_2;
    ClientCertificates client_certificates = ClientCertificates::none;
    std::string client_authority{};  ///< who signs the clients' certificates; needed unless `none`
    std::vector<std::string> protocols{"http/1.1"};        ///< ALPN, the preferred one first; empty: no ALPN
    std::chrono::milliseconds handshake_deadline{10'000};  ///< from accept to the end of the handshake
    /// Session tickets are encrypted with a key that all workers share and that is replaced this often; the two
    /// before it are still accepted, then they are gone, and with them what a thief of the memory could read.
    /// At least a second.
    std::chrono::seconds ticket_rotation{3600};
    /// A worker whose event loop is behind, as when many clients come at once, leaves the costly steps of handshakes to
    /// a thread that it has for them, so that other connections are answered meanwhile. Otherwise it makes them itself.
    bool handshake_thread = true;
};

/// What the handshake of a connection over TLS has shown.
struct TlsFacts {
    TlsVersion version = TlsVersion::tls_1_3;
    std::string server_name{};  ///< that the client has asked for (SNI): anybody's text; empty: none
    std::string
        client_subject{};    ///< of its certificate, which client_authority has signed: "CN=alice,O=Example"
                             ///< (RFC 4514); empty: it has shown none
    std::string protocol{};  ///< agreed upon (ALPN); empty: none
};

/// The PROXY protocol, version 2 (HAProxy's proxy-protocol.txt), spoken before anything else, TLS included.
/// Version 1 is refused.
struct ProxyOptions {
    /// Whose announcements count: "192.0.2.7", "10.0.0.0/8", "fd00::/8" or "unix". Connections from these must
    /// begin with a header; the client it names is the peer in requests, tables and logs. Connections from
    /// anywhere else are served as what they are, and a header on them is not understood.
    std::vector<std::string> trusted{};
    std::chrono::milliseconds deadline{5'000};  ///< for the whole header
};

}  // namespace signalbox
