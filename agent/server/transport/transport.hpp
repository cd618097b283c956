// What all workers of a listener share of its transport. Made before the fork; nothing of OpenSSL.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "agent/server/transport/proxy_header.hpp"
#include "agent/server/transport/ticket_keys.hpp"
#include "agent/server/transport/tls_files.hpp"
#include "agent/server/transport/trusted_peers.hpp"
#include "signalbox/group.hpp"

namespace signalbox::server {

enum class HandshakeResult : std::size_t;

/// How the header of a proxy's connection ended, for counting.
enum class ProxyResult : std::size_t {
    client,  ///< it names one
    none,    ///< it names none: the proxy speaks for itself
    not_version_2,
    malformed,
    too_long,
    disconnected,
    deadline,
    kCount
};

class TransportMetrics {
public:
    explicit TransportMetrics(Telemetry& telemetry);

    Counter& handshakes(HandshakeResult result) { return handshakes_[static_cast<std::size_t>(result)]; }
    Counter& proxy_headers(ProxyResult result) { return proxy_headers_[static_cast<std::size_t>(result)]; }

    Duration handshake_duration;  ///< of those that were completed, from the client's first byte on
    Counter handshakes_off_loop;
    Duration handshake_wait;  ///< of each step that was made off the loop
    Counter reloads;
    Counter refused_reloads;

private:
    std::vector<Counter> handshakes_;
    std::vector<Counter> proxy_headers_;
};

struct Transport {
    std::optional<TlsOptions> tls;
    std::optional<ProxyOptions> proxy;
    TrustedPeers trusted;
    std::unique_ptr<TicketKeys> ticket_keys;   ///< with TLS
    std::unique_ptr<LastGoodFiles> last_good;  ///< with TLS
    TransportMetrics metrics;
};

/// Null for plain text without a proxy. Throws std::invalid_argument that names the option or file, the reason
/// and the way out. May fork for a moment, to look at the files.
std::shared_ptr<Transport> make_transport(const ListenerOptions& options, Telemetry& telemetry);

}  // namespace signalbox::server
