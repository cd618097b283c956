#include "signalbox/group.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "agent/black_box.hpp"
#include "agent/server/address.hpp"
#include "agent/server/datagram/datagram_listener.hpp"
#include "agent/server/reuseport.hpp"
#include "agent/server/transport/transport.hpp"
#include "agent/server/worker.hpp"
#include "agent/service/service.hpp"
#include "agent/sockets/inherited_sockets.hpp"
#include "agent/supervisor/arbiter.hpp"
#include "agent/supervisor/journal.hpp"
#include "agent/supervisor/pid_file.hpp"
#include "agent/supervisor/predecessor.hpp"
#include "agent/supervisor/privileges.hpp"
#include "agent/supervisor/process.hpp"
#include "agent/telemetry/settings.hpp"

namespace signalbox {
namespace {

void check(const GroupOptions& options) {
    if (options.workers < 1 || options.workers > options.max_workers)
        throw std::invalid_argument(fmt::format("workers: {} is not between 1 and max_workers ({})",
                                                options.workers, options.max_workers));
    if (options.max_workers > telemetry::kMaxSlots)
        throw std::invalid_argument(
            fmt::format("max_workers: {} is more than {}", options.max_workers, telemetry::kMaxSlots));
    if (options.anonymous_segment && !options.segment_path.empty())
        throw std::invalid_argument(
            "segment_path and anonymous_segment exclude each other: give one of them");
    if (!options.agent_tls.address.empty() && options.agent_socket.empty())
        throw std::invalid_argument(
            "agent_tls needs agent_socket as well: the unix socket is how the host itself looks in");
}

/// Of an address as bound: "127.0.0.1:8080", "[::1]:8080".
std::uint32_t port_of(std::string_view address) {
    address.remove_prefix(address.rfind(':') + 1);
    std::uint32_t port = 0;
    std::from_chars(address.data(), address.data() + address.size(), port);
    return port;
}

/// As bound: with the port that was free.
std::string address_of(int listener) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    return server::format_address(address);
}

using std::chrono::milliseconds;
constexpr std::chrono::hours kDay{24};
/// What a worker whose arbiter has died may take beyond its drain deadline.
constexpr std::chrono::seconds kOrphanGrace{2};

/// The group's own settings, with where they were chosen. Those that need no restart are tunables.
class Settings {
public:
    Settings(Telemetry& telemetry, const GroupOptions& given, const GroupOptions& usual = {})
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
          upgrade_deadline(context, "upgrade_deadline", given.upgrade_deadline,
                           {.min = milliseconds(10),
                            .max = kDay,
                            .help = "A new version that is not ready by then does not take over",
                            .origin = origin_of(given.upgrade_deadline, usual.upgrade_deadline)}),
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
                              .origin =
                                  origin_of(given.worker_open_files_limit, usual.worker_open_files_limit)}},
              .requests =
                  {context,
                   "worker_request_limit",
                   given.worker_request_limit,
                   {.min = 0,
                    .max = std::int64_t{1} << 50,
                    .unit = "requests",
                    .help =
                        "A worker that has answered so many, or up to a tenth more, is cycled; 0: no limit",
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

    void tell(const server::HttpListener& listener) {
        const ListenerOptions& options = listener.options;
        const std::string prefix = fmt::format("listener_{}_", listener.index);
        context.setting(prefix + "address", listener.address, origin);
        tell(prefix + "backlog", options.backlog, ListenerOptions{}.backlog);
        tell(prefix + "accept", server::name_of(options.accept), server::name_of(ListenerOptions{}.accept));
        if (options.defer_accept.count() > 0)
            context.setting(prefix + "defer_accept", fmt::format("{} s", options.defer_accept.count()),
                            origin);
        tell(prefix + "queue_capacity", options.queue_capacity, ListenerOptions{}.queue_capacity);
        if (options.tls) {
            context.setting(prefix + "tls_certificate", options.tls->certificate, origin);
            context.setting(prefix + "tls_key", options.tls->key, origin);
        }
        if (options.proxy)
            context.setting(prefix + "trusted_proxies",
                            fmt::format("{}", fmt::join(options.proxy->trusted, ", ")), origin);
    }

    Tunable<milliseconds> queue_deadline(unsigned listener, const ListenerOptions& options) {
        return {context,
                fmt::format("listener_{}_queue_deadline", listener),
                options.queue_deadline,
                {.min = milliseconds(1),
                 .max = kDay,
                 .help = "An accepted connection that waited longer for the event loop is shed",
                 .origin = origin_of(options.queue_deadline, ListenerOptions{}.queue_deadline)}};
    }

    Context context;
    std::string origin;
    Tunable<milliseconds> drain_deadline;
    Tunable<milliseconds> start_deadline;
    Tunable<milliseconds> upgrade_deadline;
    supervisor::Limits limits;
    supervisor::LoopThresholds loops;

    template <class T>
    void tell(const std::string& name, const T& value, const T& otherwise) {
        context.setting(name, fmt::format("{}", value), origin_of(value, otherwise));
    }

private:
    template <class T>
    std::string_view origin_of(const T& value, const T& otherwise) const {
        return value == otherwise ? std::string_view("default") : origin;
    }
};

}  // namespace

struct Group::Impl {
    explicit Impl(GroupOptions given)
        : options(std::move(given)),
          program(supervisor::Program::of_this_process()),
          box(options, predecessor.segment()),
          telemetry({.group = options.name, .max_workers = options.max_workers, .path = box.path()}),
          settings(telemetry, options),
          metrics(server::make_server_metrics(telemetry)) {
        box.hold(telemetry.segment().descriptor());
        tell_where_the_segment_is();
        settings.context.setting("segment_path", box.path(),
                                 options.segment_path.empty() ? "default" : options.origin);
        settings.context.describe_process();
    }

    void tell_where_the_segment_is();
    void publish(const server::HttpListener& listener);
    int serve(telemetry::SeatWriter& seat, std::function<void()> notify);
    supervisor::ArbiterConfig arbiter_config();

    void take_over(supervisor::PidFile& pid_file);
    supervisor::Journal journal() { return {telemetry.segment(), options.quiet}; }

    GroupOptions options;
    supervisor::Program program;
    supervisor::Predecessor predecessor;
    BlackBox box;
    Telemetry telemetry;
    Settings settings;
    std::shared_ptr<server::ServerMetrics> metrics;
    std::vector<std::shared_ptr<server::HttpListener>> listeners;
    std::vector<std::shared_ptr<server::DatagramListener>> datagrams;
    std::vector<sockets::BoundSocket> bound;  ///< for a successor
    std::vector<std::function<void(unsigned)>> after_fork;
    std::function<std::vector<std::unique_ptr<LogSink>>(unsigned)> log_sinks;
    LogWriterOptions log_options;
    service::ServiceConfig service;
};

Group::Group(GroupOptions options) {
    check(options);
    impl_ = std::make_unique<Impl>(std::move(options));
}

Group::~Group() = default;

Telemetry& Group::telemetry() {
    return impl_->telemetry;
}

Context Group::context() {
    return impl_->settings.context;
}

std::string Group::http(std::string_view address, Router router, ListenerOptions options) {
    if (impl_->listeners.size() >= telemetry::kMaxListeners)
        throw std::length_error(fmt::format("a group has at most {} listeners", telemetry::kMaxListeners));
    const auto index = static_cast<unsigned>(impl_->listeners.size());
    auto transport = server::make_transport(options, impl_->telemetry);
    auto listener = server::bind_http(address, std::move(router), options, index);
    server::bind_slots(*listener, impl_->options.max_workers);
    listener->transport = std::move(transport);
    listener->queue_deadline = impl_->settings.queue_deadline(index, options);
    impl_->settings.tell(*listener);
    const server::SocketAddress asked = server::parse_address(address);
    impl_->bound.push_back({listener->socket, {asked.storage, asked.size}});
    impl_->listeners.push_back(std::move(listener));
    impl_->publish(*impl_->listeners.back());
    return impl_->listeners.back()->address;
}

std::string Group::datagram(std::string_view address, DatagramHandler handler, DatagramOptions options) {
    const std::string prefix = fmt::format("datagram_{}_", impl_->datagrams.size());
    auto listener = server::bind_datagram(address, std::move(handler), std::move(options),
                                          impl_->options.max_workers, impl_->telemetry);
    Settings& settings = impl_->settings;
    settings.context.setting(prefix + "address", listener->address, settings.origin);
    const DatagramOptions usual;
    settings.tell(prefix + "largest",
                  fmt::format("{} B", static_cast<std::uint64_t>(listener->options.largest)),
                  fmt::format("{} B", static_cast<std::uint64_t>(usual.largest)));
    settings.tell(prefix + "concurrency", listener->options.concurrency, usual.concurrency);
    impl_->datagrams.push_back(std::move(listener));
    return impl_->datagrams.back()->address;
}

void Group::after_fork(std::function<void(unsigned)> function) {
    impl_->after_fork.push_back(std::move(function));
}

void Group::Impl::tell_where_the_segment_is() {
    const supervisor::Journal journal = this->journal();
    if (!box.warning().empty())
        journal.say(wire::Severity::warning, "segment_elsewhere", box.warning());
    else if (!box.path().empty())
        journal.say(wire::Severity::info, "segment_opened", fmt::format("The segment is {}.", box.path()));
}

void Group::log_to(std::function<std::vector<std::unique_ptr<LogSink>>(unsigned slot)> sinks,
                   LogWriterOptions options) {
    impl_->log_sinks = std::move(sinks);
    impl_->log_options = options;
}

/// Lets readers of the segment know what is listened on.
void Group::Impl::publish(const server::HttpListener& listener) {
    telemetry::Group& group = telemetry.segment().group();
    telemetry::ListenerRecord& record = group.listeners[listener.index];
    std::strncpy(record.protocol, "http", sizeof record.protocol - 1);
    std::strncpy(record.address, listener.address.c_str(), sizeof record.address - 1);
    if (!listener.is_unix) record.port.store(port_of(listener.address), std::memory_order_relaxed);
    record.backlog_limit.store(static_cast<std::uint32_t>(listener.options.backlog),
                               std::memory_order_relaxed);
    record.used.store(1, std::memory_order_release);
    group.listener_count.store(listener.index + 1, std::memory_order_relaxed);
}

int Group::Impl::serve(telemetry::SeatWriter& seat, std::function<void()> notify) {
    std::optional<LogWriter> log;
    if (log_sinks) log.emplace(telemetry, log_sinks(seat.slot()), log_options);
    if (options.pin_workers && !supervisor::pin_to_processor(seat.slot()))
        seat.log(
            wire::Severity::warning, "worker_not_pinned",
            fmt::format("Worker {} is not pinned to a processor: {}.", seat.slot(), std::strerror(errno)));
    for (const auto& function : after_fork)
        function(seat.slot());
    server::WorkerConfig config;
    config.listeners = listeners;
    config.datagrams = datagrams;
    config.metrics = metrics;
    config.drain_deadline = settings.drain_deadline;
    config.refresh = [this] {
        telemetry.refresh();
        supervisor::set_orphan_patience(settings.drain_deadline.get() + kOrphanGrace);
    };
    if (log) config.reopen_logs = [&log] { log->reopen(); };
    config.notify_arbiter = std::move(notify);
    return server::run_worker(seat, config);
}

supervisor::ArbiterConfig Group::Impl::arbiter_config() {
    supervisor::ArbiterConfig config;
    config.roster = {.workers = options.workers,
                     .max_workers = options.max_workers,
                     .limits = settings.limits,
                     .loops = settings.loops,
                     .drain_deadline = settings.drain_deadline,
                     .start_deadline = settings.start_deadline,
                     .fork_worker = {},
                     .ended = [this](unsigned seat) {
                         server::count_lost_connections(*metrics, telemetry.segment(), seat);
                     }};
    config.worker = [this](telemetry::SeatWriter& seat, std::function<void()> notify) {
        return serve(seat, std::move(notify));
    };
    config.quiet = options.quiet;
    for (const auto& listener : listeners)
        config.close_in_agent.insert(config.close_in_agent.end(), listener->slot_sockets.begin(),
                                     listener->slot_sockets.end());
    for (const auto& listener : datagrams) {
        const std::vector<int> sockets = listener->sockets();
        config.close_in_agent.insert(config.close_in_agent.end(), sockets.begin(), sockets.end());
    }
    if (options.agent_socket.empty()) return config;

    service.segment = telemetry.segment().descriptor();
    const auto bind = [this](const sockets::BoundSocket& socket) {
        bound.push_back(socket);
        return socket.descriptor;
    };
    service.unix_listener = bind(service::bind_agent_socket(options.agent_socket));
    config.close_in_workers.push_back(service.unix_listener);
    if (!options.agent_tls.address.empty()) {
        service::check_tls(options.agent_tls);
        service.tls = options.agent_tls;
        service.tls_listener = bind(service::bind_agent_port(options.agent_tls.address));
        config.close_in_workers.push_back(service.tls_listener);
        settings.context.setting("agent_tls_address", address_of(service.tls_listener), options.origin);
    }
    config.agent = [this](int command_socket) {
        service.commands = command_socket;
        return service::run_agent(service);
    };
    return config;
}

/// This process is in charge of the group from now on.
void Group::Impl::take_over(supervisor::PidFile& pid_file) {
    try {
        pid_file.take_over();
    } catch (const std::exception& error) {
        journal().say(wire::Severity::error, "pid_file_not_written", error.what());
    }
    if (const std::string obstacle = box.take_over(); !obstacle.empty())
        journal().say(wire::Severity::warning, "segment_elsewhere", obstacle);
    telemetry::note_setting(telemetry.segment(), "segment_path", box.path(), "upgrade");
}

int Group::run() {
    if (impl_->listeners.empty() && impl_->datagrams.empty())
        throw std::logic_error("the group serves nothing: call http() or datagram() before run()");
    supervisor::PidFile pid_file(impl_->options.pid_file, impl_->predecessor.take_pid_file());
    supervisor::ArbiterConfig config = impl_->arbiter_config();
    // Opened while this process may still do so, and to be read only: the new version has no business writing there.
    const int segment =
        ::open(fmt::format("/proc/self/fd/{}", impl_->telemetry.segment().descriptor()).c_str(),
               O_RDONLY | O_CLOEXEC);
    config.upgrade = {.program = impl_->program,
                      .sockets = impl_->bound,
                      .segment = segment,
                      .pid_file = pid_file.descriptor(),
                      .deadline = impl_->settings.upgrade_deadline};
    config.handed_over = [&pid_file] { pid_file.give_away(); };
    config.predecessor = &impl_->predecessor;
    config.taken_over = [this, &pid_file] { impl_->take_over(pid_file); };
    if (pid_file.descriptor() >= 0) {
        config.close_in_workers.push_back(pid_file.descriptor());
        config.close_in_agent.push_back(pid_file.descriptor());
    }
    supervisor::set_open_files_limit(impl_->options.open_files);
    supervisor::become(impl_->options.user, impl_->options.user_group);
    for (const std::string& unused : sockets::close_unused_inherited_sockets())
        impl_->journal().say(
            wire::Severity::warning, "inherited_socket_unused",
            fmt::format("Nothing is served on the inherited {}; its address is that of no listener.",
                        unused));
    const int status = supervisor::Arbiter(impl_->telemetry, std::move(config)).run();
    if (segment >= 0) ::close(segment);
    return status;
}

}  // namespace signalbox
