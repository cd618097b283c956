// The instruments that every server has.
#pragma once

#include "signalbox/telemetry.hpp"

namespace signalbox::server {

struct ServerMetrics {
    explicit ServerMetrics(Telemetry& telemetry);

    /// By the status' first digit.
    Counter& requests(int status) { return requests_[status / 100 - 2]; }

    Counter received_bytes;
    Counter sent_bytes;
    Counter refused_requests;  ///< malformed, or of a shape that two parsers may read differently
    Counter accepted;
    Counter accept_failures;  ///< of accept4, but for what concerns one connection only
    Counter shed_queue_full;
    Counter shed_expected_wait;  ///< would have waited too long
    Counter shed_deadline;       ///< has waited too long
    Counter shed_no_descriptors;
    Counter shed_connection_limit;
    Counter shed_to_make_room;  ///< had been open, but waited long for their clients
    // Accepted = shed + served + failed + waiting in accept queues + open.
    Counter served;            ///< connections that ended when nothing was owed
    Counter failed_client;     ///< … broke, or were closed by the client, within a request or its response
    Counter failed_deadline;   ///< … took too long over a request or its response
    Counter failed_handler;    ///< … whose response could not be completed
    Counter failed_transport;  ///< … did not get beyond the TLS handshake or the proxy's header
    Counter failed_worker_ended;  ///< … were cut when their worker ended, however it ended
    Gauge open;
    /// From the whole request to the whole response, without the time to send it. Not of requests that were
    /// refused while they came in.
    Duration request_duration;
    Duration queue_wait;  ///< from accept to the event loop

private:
    Counter requests_[4];
};

}  // namespace signalbox::server
