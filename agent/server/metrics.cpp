#include "agent/server/metrics.hpp"

#include "agent/server/worker.hpp"

namespace signalbox::server {

namespace {

Counter answered(Telemetry& telemetry, const char* status_class) {
    return {telemetry, "http_requests_total", "Requests answered", {{"class", status_class}}};
}

Counter shed(Telemetry& telemetry, const char* reason) {
    return {telemetry, "connections_shed_total", "Connections turned away", {{"reason", reason}}};
}

}  // namespace

ServerMetrics::ServerMetrics(Telemetry& telemetry)
    : received_bytes(telemetry, "http_received_bytes_total", "Bytes read from HTTP connections"),
      sent_bytes(telemetry, "http_sent_bytes_total", "Bytes written to HTTP connections"),
      refused_requests(telemetry, "http_refused_requests_total",
                       "Requests that were malformed or beyond a limit"),
      accepted(telemetry, "connections_accepted_total", "Connections accepted"),
      shed_queue_full(shed(telemetry, "queue_full")),
      shed_expected_wait(shed(telemetry, "expected_wait")),
      shed_deadline(shed(telemetry, "deadline")),
      shed_no_descriptors(shed(telemetry, "no_descriptors")),
      open(telemetry, "connections_open", "Connections open now"),
      request_duration(telemetry, "http_request_duration_seconds", "Time to answer a request"),
      queue_wait(telemetry, "accept_queue_wait_seconds", "Time that a connection waits for the event loop"),
      requests_{answered(telemetry, "2xx"), answered(telemetry, "3xx"), answered(telemetry, "4xx"),
                answered(telemetry, "5xx")} {}

std::shared_ptr<ServerMetrics> make_server_metrics(Telemetry& telemetry) {
    return std::make_shared<ServerMetrics>(telemetry);
}

}  // namespace signalbox::server
