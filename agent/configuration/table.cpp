#include "agent/configuration/table.hpp"

#include "agent/telemetry/layout.hpp"

namespace signalbox::configuration {
namespace {

using G = GroupOptions;
using L = ListenerOptions;

static_assert(telemetry::kMaxSlots == 1000, "the greatest max_workers, below");

template <class... Members>
Setting<G> group(std::string name, const Details& details, Members... members) {
    return setting<G>(std::move(name), details, members...);
}

template <class... Members>
Setting<ConfiguredListener> listener(std::string name, const Details& details, Members... members) {
    return setting<ConfiguredListener>(std::move(name), details, &ConfiguredListener::options, members...);
}

std::vector<Setting<G>> workers() {
    constexpr auto at_once = Takes::at_once;
    return {
        group("name", {.help = "What the group is called"}, &G::name),
        group("workers", {.help = "Worker processes that serve", .min = "1", .max = "1000", .takes = at_once},
              &G::workers),
        group("max_workers", {.help = "The most that scaling may reach", .min = "1", .max = "1000"},
              &G::max_workers),
        group(
            "min_workers",
            {.help = "The fewest that autoscaling goes down to", .min = "1", .max = "1000", .takes = at_once},
            &G::min_workers),
        group("drain_deadline",
              {.help = "What a stopping worker still has open after this is closed",
               .max = "24h",
               .takes = at_once},
              &G::drain_deadline),
        group("start_deadline",
              {.help = "A worker that is not ready by then is replaced",
               .min = "10ms",
               .max = "24h",
               .takes = at_once},
              &G::start_deadline),
        group("upgrade_deadline",
              {.help = "A new version that is not ready by then does not take over",
               .min = "10ms",
               .max = "24h",
               .takes = at_once},
              &G::upgrade_deadline),
        group("pin_workers",
              {.help = "Worker n runs on the n-th of the allowed processors, counted round",
               .takes = Takes::with_new_workers},
              &G::pin_workers),
    };
}

std::vector<Setting<G>> limits() {
    constexpr auto at_once = Takes::at_once;
    return {
        group("worker_memory_limit",
              {.help = "A worker whose resident memory is above this is cycled; 0: no limit",
               .max = "1048576GiB",
               .takes = at_once,
               .also = "memory-limit"},
              &G::worker_memory_limit),
        group("worker_open_files_limit",
              {.help = "A worker with more descriptors than this is cycled; 0: no limit",
               .unit = "files",
               .min = "0",
               .takes = at_once},
              &G::worker_open_files_limit),
        group("worker_request_limit",
              {.help = "A worker that has answered so many, or up to a tenth more, is cycled; 0: no limit",
               .unit = "requests",
               .min = "0",
               .max = "1125899906842624",
               .takes = at_once},
              &G::worker_request_limit),
        group("worker_age_limit",
              {.help = "A worker that is so old, or up to a tenth older, is cycled; 0: no limit",
               .max = "366d",
               .takes = at_once},
              &G::worker_age_limit),
        group(
            "worker_lag_limit",
            {.help =
                 "A worker whose event loop is later than this ten times in a minute is cycled; 0: no limit",
             .max = "24h",
             .takes = at_once},
            &G::worker_lag_limit),
        group("total_memory_limit",
              {.help = "Of all workers; near it the group does not grow, above it the largest is cycled; 0: "
                       "no limit",
               .max = "1048576GiB",
               .takes = at_once},
              &G::total_memory_limit),
        group("autoscale",
              {.help = "The number of workers follows the load, from min_workers to max_workers",
               .takes = at_once},
              &G::autoscale),
        group("autoscale_queue_target",
              {.help = "Autoscaling: a connection that waits longer for a worker waits too long",
               .min = "1ms",
               .max = "1h",
               .takes = at_once},
              &G::autoscale_queue_target),
        group("autoscale_up_after",
              {.help = "Autoscaling: too much load for this long means more workers",
               .max = "1h",
               .takes = at_once},
              &G::autoscale_up_after),
        group("autoscale_down_after",
              {.help = "Autoscaling: little load for this long means one worker less",
               .max = "24h",
               .takes = at_once},
              &G::autoscale_down_after),
        group("autoscale_hold",
              {.help = "Autoscaling waits so long after somebody has scaled", .max = "24h", .takes = at_once},
              &G::autoscale_hold),
        group("spin_threshold",
              {.help = "An event loop that is so late is reported with its stack; 0: never",
               .max = "24h",
               .takes = at_once},
              &G::spin_threshold),
        group("wedge_timeout",
              {.help = "A worker whose event loop is so late is replaced; 0: never",
               .max = "24h",
               .takes = at_once},
              &G::wedge_timeout),
    };
}

std::vector<Setting<G>> process() {
    return {
        group("segment_path",
              {.help = "The file of the telemetry, which outlives a crash; empty: NAME.segment in the "
                       "runtime directory",
               .also = "segment"},
              &G::segment_path),
        group("anonymous_segment", {.help = "Telemetry in memory without a file, which ends with the group"},
              &G::anonymous_segment),
        group("pid_file", {.help = "Where the arbiter's pid is written; locked while it runs"}, &G::pid_file),
        group("process_group_file",
              {.help = "Where the number of the process group is written: kill -TERM -NUMBER ends all of it"},
              &G::process_group_file),
        group("daemonize",
              {.help =
                   "Serve in the background; the command ends when all workers serve, or with what is wrong"},
              &G::daemonize),
        group("directory", {.help = "Working directory of a daemonized group; empty: as it is"},
              &G::directory),
        group("umask", {.help = "Of all processes, in octal digits: 027; empty: as it is"}, &G::umask),
        group("capture_output",
              {.help = "Put before each line that workers print whose it is; automatic: with output_file or "
                       "daemonize",
               .choices = {"automatic", "yes", "no"}},
              &G::capture_output),
        group("output_file",
              {.help = "Where what all processes print goes, rotated at 64 MiB; empty: stderr",
               .also = "output"},
              &G::output_file),
        group("open_files",
              {.help = "Most open files of each process (RLIMIT_NOFILE); 0: as it is", .unit = "files"},
              &G::open_files),
        group("user", {.help = "Whom all processes run as once everything is bound; needs root"}, &G::user),
        group("user_group", {.help = "With which group; empty: the user's own"}, &G::user_group),
        group("quiet", {.help = "Nothing on stderr but errors"}, &G::quiet),
        group("agent_socket",
              {.help = "Unix socket that the console, browsers and Prometheus connect to; empty: no agent",
               .also = "agent"},
              &G::agent_socket),
        group("agent_tls.address",
              {.help = "The agent also listens here, with TLS 1.3: 0.0.0.0:9443", .also = "agent-tls"},
              &G::agent_tls, &AgentTls::address),
        group("agent_tls.certificate", {.help = "The agent's certificate (PEM)", .also = "agent-cert"},
              &G::agent_tls, &AgentTls::certificate),
        group("agent_tls.key", {.help = "Its key (PEM)", .also = "agent-key"}, &G::agent_tls, &AgentTls::key),
        group("agent_tls.client_authority",
              {.help = "Who signs the certificates of the agent's clients (PEM)", .also = "agent-client-ca"},
              &G::agent_tls, &AgentTls::client_authority),
        group("agent_tls.operators",
              {.help = "Common names of the clients that may act; others may only look",
               .also = "agent-operator"},
              &G::agent_tls, &AgentTls::operators),
    };
}

std::vector<Setting<ConfiguredListener>> queues_and_limits() {
    constexpr auto later = Takes::with_new_workers;
    return {
        setting<ConfiguredListener>(
            "address", {.help = "Where it listens: 127.0.0.1:8080, [::1]:8080, *:8080 or unix:PATH"},
            &ConfiguredListener::address),
        listener("backlog",
                 {.help = "Connections that the kernel queues", .min = "1", .max = "65535", .takes = later},
                 &L::backlog),
        listener(
            "accept",
            {.help = "Who accepts: the event loops with a thread that stands in, the event loops alone, or "
                     "each from a socket of its own",
             .choices = {"queue", "exclusive", "reuseport"}},
            &L::accept),
        listener("defer_accept",
                 {.help = "The kernel keeps a connection of HTTP or TLS until its client has said something, "
                          "at most this long; 0: not",
                  .max = "1h"},
                 &L::defer_accept),
        listener("queue_capacity",
                 {.help = "Accepted connections that may wait in a worker; further ones are shed",
                  .min = "1",
                  .max = "1048576",
                  .takes = later},
                 &L::queue_capacity),
        listener("queue_deadline",
                 {.help = "An accepted connection that waited longer for the event loop is shed",
                  .min = "1ms",
                  .max = "24h",
                  .takes = Takes::at_once},
                 &L::queue_deadline),
        listener("limits.header",
                 {.help = "A longer request header gets 431", .min = "1KiB", .max = "1GiB", .takes = later},
                 &L::limits, &HttpLimits::header),
        listener("limits.body", {.help = "A longer request body gets 413", .max = "1024GiB", .takes = later},
                 &L::limits, &HttpLimits::body),
        listener("limits.streamed_body",
                 {.help = "Likewise, where the handler reads it piece by piece",
                  .max = "1048576GiB",
                  .takes = later},
                 &L::limits, &HttpLimits::streamed_body),
        listener("limits.header_deadline",
                 {.help = "From the first byte of a request to the end of its header",
                  .min = "1ms",
                  .max = "24h",
                  .takes = later},
                 &L::limits, &HttpLimits::header_deadline),
        listener("limits.body_deadline",
                 {.help = "For a whole body; of a streamed one, without progress",
                  .min = "1ms",
                  .max = "24h",
                  .takes = later},
                 &L::limits, &HttpLimits::body_deadline),
        listener("limits.write_deadline",
                 {.help = "For a response, without progress", .min = "1ms", .max = "24h", .takes = later},
                 &L::limits, &HttpLimits::write_deadline),
        listener(
            "limits.keep_alive",
            {.help = "An idle connection is closed after this", .min = "1ms", .max = "24h", .takes = later},
            &L::limits, &HttpLimits::keep_alive),
    };
}

std::vector<Setting<ConfiguredListener>> streams() {
    constexpr auto later = Takes::with_new_workers;
    return {
        listener("stream.idle",
                 {.help = "Of a stream: until the first byte of what is read",
                  .min = "1ms",
                  .max = "24h",
                  .takes = later},
                 &L::stream, &StreamLimits::idle),
        listener("stream.read",
                 {.help = "Of a stream: from the first byte to the end of what is read",
                  .min = "1ms",
                  .max = "24h",
                  .takes = later},
                 &L::stream, &StreamLimits::read),
        listener("stream.write",
                 {.help = "Of a stream: for a write, without progress",
                  .min = "1ms",
                  .max = "24h",
                  .takes = later},
                 &L::stream, &StreamLimits::write),
        listener("stream.message",
                 {.help = "Of a stream: the most that is gathered for one read",
                  .min = "1KiB",
                  .max = "1GiB",
                  .takes = later},
                 &L::stream, &StreamLimits::message),
        listener("stream.connections",
                 {.help = "Streams that a worker serves at once; more are reset; 0: as many as come",
                  .takes = later},
                 &L::stream, &StreamLimits::connections),
    };
}

std::vector<Setting<ConfiguredListener>> transport() {
    return {
        listener("tls", {.help = "Speak TLS"}, &L::tls),
        listener("tls.certificate",
                 {.help = "Its certificate and those that lead to the root (PEM); new ones are served once "
                          "they change",
                  .also = "tls-cert"},
                 &L::tls, &TlsOptions::certificate),
        listener("tls.key", {.help = "The certificate's key (PEM)"}, &L::tls, &TlsOptions::key),
        listener("tls.policy",
                 {.help = "Whether plain text is served as well", .choices = {"required", "optional"}},
                 &L::tls, &TlsOptions::policy),
        listener("tls.least_version", {.help = "The oldest TLS that is spoken", .choices = {"1.2", "1.3"}},
                 &L::tls, &TlsOptions::least_version),
        listener("tls.client_certificates",
                 {.help = "Whether clients are asked for certificates",
                  .choices = {"none", "optional", "required"}},
                 &L::tls, &TlsOptions::client_certificates),
        listener("tls.client_authority", {.help = "Who signs the clients' certificates (PEM)"}, &L::tls,
                 &TlsOptions::client_authority),
        listener("tls.protocols", {.help = "ALPN, the preferred one first"}, &L::tls, &TlsOptions::protocols),
        listener("tls.handshake_deadline",
                 {.help = "From accept to the end of the handshake", .min = "1ms", .max = "24h"}, &L::tls,
                 &TlsOptions::handshake_deadline),
        listener("tls.ticket_rotation",
                 {.help = "The key of session tickets is replaced this often", .min = "1s", .max = "366d"},
                 &L::tls, &TlsOptions::ticket_rotation),
        listener("tls.handshake_thread",
                 {.help = "Costly steps of handshakes leave the event loop when it is behind"}, &L::tls,
                 &TlsOptions::handshake_thread),
        listener("proxy", {.help = "Connections of trusted proxies begin with a PROXY header, version 2"},
                 &L::proxy),
        listener(
            "proxy.trusted",
            {.help = "Whose header counts: 192.0.2.7, 10.0.0.0/8, fd00::/8 or unix", .also = "trusted-proxy"},
            &L::proxy, &ProxyOptions::trusted),
        listener("proxy.deadline", {.help = "For the whole header", .min = "1ms", .max = "24h"}, &L::proxy,
                 &ProxyOptions::deadline),
    };
}

std::vector<Setting<ConfiguredListener>> compression() {
    constexpr auto later = Takes::with_new_workers;
    return {
        listener("compression", {.help = "Compress responses", .takes = later}, &L::compression),
        listener("compression.types", {.help = "Media types that are compressed", .takes = later},
                 &L::compression, &CompressionOptions::types),
        listener("compression.min_size",
                 {.help = "Shorter bodies are sent as they are", .max = "1GiB", .takes = later},
                 &L::compression, &CompressionOptions::min_size),
        listener("compression.gzip", {.help = "Offer gzip", .takes = later}, &L::compression,
                 &CompressionOptions::gzip),
        listener("compression.zstd", {.help = "Offer zstd", .takes = later}, &L::compression,
                 &CompressionOptions::zstd),
        listener("compression.gzip_level",
                 {.help = "From 1, fast, to 9", .min = "1", .max = "9", .takes = later}, &L::compression,
                 &CompressionOptions::gzip_level),
        listener("compression.zstd_level",
                 {.help = "From 1, fast, to 19", .min = "1", .max = "19", .takes = later}, &L::compression,
                 &CompressionOptions::zstd_level),
    };
}

template <class Row>
std::vector<Row> joined(std::initializer_list<std::vector<Row>> parts) {
    std::vector<Row> rows;
    for (const auto& part : parts)
        rows.insert(rows.end(), part.begin(), part.end());
    return rows;
}

}  // namespace

const std::vector<Setting<GroupOptions>>& group_settings() {
    static const auto table = joined({workers(), limits(), process()});
    return table;
}

const std::vector<Setting<ConfiguredListener>>& listener_settings() {
    static const auto table = joined({queues_and_limits(), streams(), transport(), compression()});
    return table;
}

}  // namespace signalbox::configuration
