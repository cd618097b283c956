#include "agent/server/metrics.hpp"

#include "agent/server/worker.hpp"
#include "agent/telemetry/seat_counts.hpp"

namespace signalbox::server {

namespace {

Counter answered(Telemetry& telemetry, const char* status_class) {
    return {telemetry, "http_requests_total", "Requests answered", {{"class", status_class}}};
}

Counter shed(Telemetry& telemetry, const char* reason) {
    return {telemetry, "connections_shed_total", "Connections turned away", {{"reason", reason}}};
}

Counter failed(Telemetry& telemetry, const char* reason) {
    return {telemetry,
            "connections_failed_total",
            "Connections that ended within a request or before one was possible",
            {{"reason", reason}}};
}

}  // namespace

ServerMetrics::ServerMetrics(Telemetry& telemetry)
    : received_bytes(telemetry, "http_received_bytes_total", "Bytes read from HTTP connections"),
      sent_bytes(telemetry, "http_sent_bytes_total", "Bytes written to HTTP connections"),
      refused_requests(telemetry, "http_refused_requests_total",
                       "Requests that were malformed or beyond a limit"),
      accepted(telemetry, "connections_accepted_total", "Connections accepted"),
      accept_failures(telemetry, "accept_failures_total",
                      "Times that the kernel had no connection to give, for want of descriptors or memory"),
      shed_queue_full(shed(telemetry, "queue_full")),
      shed_expected_wait(shed(telemetry, "expected_wait")),
      shed_deadline(shed(telemetry, "deadline")),
      shed_no_descriptors(shed(telemetry, "no_descriptors")),
      shed_connection_limit(shed(telemetry, "connection_limit")),
      shed_to_make_room(shed(telemetry, "to_make_room")),
      served(telemetry, "connections_served_total", "Connections that ended when nothing was owed"),
      failed_client(failed(telemetry, "client")),
      failed_deadline(failed(telemetry, "deadline")),
      failed_handler(failed(telemetry, "handler")),
      failed_transport(failed(telemetry, "transport")),
      failed_worker_ended(failed(telemetry, "worker_ended")),
      open(telemetry, "connections_open", "Connections open now"),
      request_duration(telemetry, "http_request_duration_seconds", "Time to answer a request"),
      queue_wait(telemetry, "accept_queue_wait_seconds", "Time that a connection waits for the event loop"),
      requests_{answered(telemetry, "2xx"), answered(telemetry, "3xx"), answered(telemetry, "4xx"),
                answered(telemetry, "5xx")} {}

std::shared_ptr<ServerMetrics> make_server_metrics(Telemetry& telemetry) {
    return std::make_shared<ServerMetrics>(telemetry);
}

void count_lost_connections(ServerMetrics& metrics, telemetry::Segment& segment, unsigned seat) {
    const auto count = [&](const char* name) { return telemetry::count_in_seat(segment, seat, name); };
    const std::uint64_t ended = count("connections_shed_total") + count("connections_served_total") +
                                count("connections_failed_total");
    const std::uint64_t accepted = count("connections_accepted_total");
    if (accepted > ended) metrics.failed_worker_ended.add(accepted - ended);
}

}  // namespace signalbox::server
