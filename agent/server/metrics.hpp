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
    Counter shed_queue_full;
    Counter shed_deadline;
    Counter shed_no_descriptors;
    Counter shed_connection_limit;
    Counter shed_stopped;  ///< they still waited when the worker ended
    Counter served;
    Counter failed;
    Gauge open;
    /// From the whole request to the whole response, without the time to send it. Not of requests that were
    /// refused while they came in.
    Duration request_duration;
    Duration queue_wait;  ///< from accept to the event loop

private:
    Counter requests_[4];
};

}  // namespace signalbox::server
