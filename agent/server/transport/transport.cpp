#include "agent/server/transport/transport.hpp"

#include <array>

#include "agent/server/transport/tls_context.hpp"
#include "agent/server/transport/tls_stream.hpp"

namespace signalbox::server {

namespace {

template <class Result>
using Names = std::array<const char*, static_cast<std::size_t>(Result::kCount)>;

constexpr Names<HandshakeResult> kHandshakeResults{
    "full",      "resumed",      "plain_text", "no_common_ground", "client_certificate", "refused_by_client",
    "malformed", "disconnected", "deadline"};
constexpr Names<ProxyResult> kProxyResults{"client",   "none",         "not_version_2", "malformed",
                                           "too_long", "disconnected", "deadline"};

template <class Names>
std::vector<Counter> counters(Telemetry& telemetry, const char* name, const char* help,
                              const Names& results) {
    std::vector<Counter> made;
    for (const char* const result : results)
        made.emplace_back(telemetry, name, help, Labels{{"result", result}});
    return made;
}

Counter reload_counter(Telemetry& telemetry, const char* result) {
    return {telemetry, "tls_reloads_total", "Changes of certificate files noticed", {{"result", result}}};
}

}  // namespace

TransportMetrics::TransportMetrics(Telemetry& telemetry)
    : handshake_duration(telemetry, "tls_handshake_duration_seconds",
                         "Time from a client's first byte to the end of the TLS handshake"),
      handshakes_off_loop(
          telemetry, "tls_handshakes_off_loop_total",
          "TLS handshakes of which the handshake thread made steps, since the event loop was behind"),
      handshake_wait(telemetry, "tls_handshake_thread_wait_seconds",
                     "Time that a step of a TLS handshake waits for the handshake thread"),
      reloads(reload_counter(telemetry, "done")),
      refused_reloads(reload_counter(telemetry, "refused")),
      handshakes_(counters(telemetry, "tls_handshakes_total", "TLS handshakes, by how they ended",
                           kHandshakeResults)),
      proxy_headers_(counters(telemetry, "proxy_headers_total", "PROXY protocol headers, by how they ended",
                              kProxyResults)) {}

std::shared_ptr<Transport> make_transport(const ListenerOptions& options, Telemetry& telemetry) {
    if (!options.tls && !options.proxy) return nullptr;
    TrustedPeers trusted;
    std::unique_ptr<TicketKeys> keys;
    std::unique_ptr<LastGoodFiles> last_good;
    if (options.proxy) trusted = TrustedPeers(options.proxy->trusted);
    if (options.tls) {
        check_tls_options(*options.tls);
        keys = std::make_unique<TicketKeys>(options.tls->ticket_rotation);
        last_good = std::make_unique<LastGoodFiles>();
    }
    return std::shared_ptr<Transport>(new Transport{.tls = options.tls,
                                                    .proxy = options.proxy,
                                                    .trusted = std::move(trusted),
                                                    .ticket_keys = std::move(keys),
                                                    .last_good = std::move(last_good),
                                                    .metrics = TransportMetrics(telemetry)});
}

}  // namespace signalbox::server
