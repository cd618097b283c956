#include "agent/group_settings.hpp"

#include <fmt/format.h>

namespace signalbox {
namespace {

using std::chrono::milliseconds;
constexpr std::chrono::hours kDay{24};

}  // namespace

template <class T>
void GroupSettings::tell(const std::string& name, const T& value, const T& otherwise) {
    context.setting(name, fmt::format("{}", value), origin_of(value, otherwise));
}

GroupSettings::GroupSettings(Telemetry& telemetry, const GroupOptions& given, const GroupOptions& usual)
    : context(telemetry),
      origin(given.origin),
      drain_deadline(context, "drain_deadline", given.drain_deadline,
                     {.max = kDay,
                      .help = "What a stopping worker still has open after this is closed",
                      .origin = origin_of(given.drain_deadline, usual.drain_deadline)}),
      start_deadline(context, "start_deadline", given.start_deadline,
                     {.min = milliseconds(10),
                      .max = kDay,
                      .help = "A worker that is not ready by then is replaced",
                      .origin = origin_of(given.start_deadline, usual.start_deadline)}),
      limits{
          .memory = {context,
                     "worker_memory_limit",
                     given.worker_memory_limit,
                     {.max = Bytes{std::uint64_t{1} << 50},
                      .help = "A worker whose resident memory is above this is cycled; 0: no limit",
                      .origin = origin_of(given.worker_memory_limit, usual.worker_memory_limit)}},
          .open_files = {context,
                         "worker_open_files_limit",
                         given.worker_open_files_limit,
                         {.min = 0,
                          .unit = "files",
                          .help = "A worker with more descriptors than this is cycled; 0: no limit",
                          .origin = origin_of(given.worker_open_files_limit, usual.worker_open_files_limit)}},
          .requests =
              {context,
               "worker_request_limit",
               given.worker_request_limit,
               {.min = 0,
                .max = std::int64_t{1} << 50,
                .unit = "requests",
                .help = "A worker that has answered so many, or up to a tenth more, is cycled; 0: no limit",
                .origin = origin_of(given.worker_request_limit, usual.worker_request_limit)}},
          .age = {context,
                  "worker_age_limit",
                  given.worker_age_limit,
                  {.min = std::chrono::seconds(0),
                   .max = 366 * kDay,
                   .help = "A worker that is so old, or up to a tenth older, is cycled; 0: no limit",
                   .origin = origin_of(given.worker_age_limit, usual.worker_age_limit)}},
          .lag = {context,
                  "worker_lag_limit",
                  given.worker_lag_limit,
                  {.max = kDay,
                   .help = "A worker whose event loop is later than this ten times in a minute is "
                           "cycled; 0: no limit",
                   .origin = origin_of(given.worker_lag_limit, usual.worker_lag_limit)}}},
      loops{.spin = {context,
                     "spin_threshold",
                     given.spin_threshold,
                     {.max = kDay,
                      .help = "An event loop that is so late is reported with its stack; 0: never",
                      .origin = origin_of(given.spin_threshold, usual.spin_threshold)}},
            .wedge = {context,
                      "wedge_timeout",
                      given.wedge_timeout,
                      {.max = kDay,
                       .help = "A worker whose event loop is so late is replaced; 0: never",
                       .origin = origin_of(given.wedge_timeout, usual.wedge_timeout)}}} {
    tell("workers", given.workers, usual.workers);
    tell("max_workers", given.max_workers, usual.max_workers);
    tell("agent_socket", given.agent_socket, usual.agent_socket);
}

void GroupSettings::tell(const server::HttpListener& listener) {
    const ListenerOptions& options = listener.options;
    const std::string prefix = fmt::format("listener_{}_", listener.index);
    context.setting(prefix + "address", listener.address, origin);
    tell(prefix + "backlog", options.backlog, ListenerOptions{}.backlog);
    tell(prefix + "queue_capacity", options.queue_capacity, ListenerOptions{}.queue_capacity);
    if (options.tls) {
        context.setting(prefix + "tls_certificate", options.tls->certificate, origin);
        context.setting(prefix + "tls_key", options.tls->key, origin);
    }
    if (options.proxy)
        context.setting(prefix + "trusted_proxies",
                        fmt::format("{}", fmt::join(options.proxy->trusted, ", ")), origin);
}

Tunable<milliseconds> GroupSettings::queue_deadline(unsigned listener, const ListenerOptions& options) {
    return {context,
            fmt::format("listener_{}_queue_deadline", listener),
            options.queue_deadline,
            {.min = milliseconds(1),
             .max = kDay,
             .help = "An accepted connection that waited longer for the event loop is shed",
             .origin = origin_of(options.queue_deadline, ListenerOptions{}.queue_deadline)}};
}

}  // namespace signalbox
