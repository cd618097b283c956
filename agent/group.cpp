#include "signalbox/group.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <stdexcept>

#include "agent/black_box.hpp"
#include "agent/configuration/checks.hpp"
#include "agent/group_reload.hpp"
#include "agent/group_settings.hpp"
#include "agent/kept_choices.hpp"
#include "agent/server/binding.hpp"
#include "agent/server/datagram/datagram_listener.hpp"
#include "agent/server/http_service.hpp"
#include "agent/server/listener.hpp"
#include "agent/server/reuseport.hpp"
#include "agent/server/stream_service.hpp"
#include "agent/server/transport/transport.hpp"
#include "agent/server/wakeups.hpp"
#include "agent/server/worker.hpp"
#include "agent/service/service.hpp"
#include "agent/sockets/inherited_sockets.hpp"
#include "agent/supervisor/arbiter.hpp"
#include "agent/supervisor/daemon.hpp"
#include "agent/supervisor/journal.hpp"
#include "agent/supervisor/pid_file.hpp"
#include "agent/supervisor/predecessor.hpp"
#include "agent/supervisor/privileges.hpp"
#include "agent/supervisor/process.hpp"
#include "agent/telemetry/settings.hpp"

namespace signalbox {
namespace {

void check(const GroupOptions& options) {
    for (const configuration::Problem& problem : configuration::problems_of(options))
        throw std::invalid_argument(problem.setting + ": " + problem.text);
}

/// Of an address as bound: "127.0.0.1:8080", "[::1]:8080".
std::uint32_t port_of(std::string_view address) {
    address.remove_prefix(address.rfind(':') + 1);
    std::uint32_t port = 0;
    std::from_chars(address.data(), address.data() + address.size(), port);
    return port;
}

bool leaves_directory(const GroupOptions& options) {
    return options.daemonize && !options.directory.empty();
}

void make_absolute(std::initializer_list<std::string*> paths) {
    for (std::string* path : paths)
        if (!path->empty()) *path = std::filesystem::absolute(*path).string();
}

/// So that what is opened again later is the same file.
GroupOptions anchored(GroupOptions options) {
    AgentTls& tls = options.agent_tls;
    if (leaves_directory(options))
        make_absolute({&options.segment_path, &options.agent_socket, &options.pid_file,
                       &options.process_group_file, &options.output_file, &tls.certificate, &tls.key,
                       &tls.client_authority});
    return options;
}

/// Room for every setting of every listener, beside the environment and those of the server.
constexpr unsigned kSettings = 1024;
/// What a worker whose arbiter has died may take beyond its drain deadline.
constexpr std::chrono::seconds kOrphanGrace{2};

}  // namespace

struct Group::Impl {
    explicit Impl(GroupOptions given)
        : options(anchored(std::move(given))),
          program(supervisor::Program::of_this_process()),
          daemon(options.daemonize),
          box(options, predecessor.segment()),
          telemetry({.group = options.name,
                     .max_workers = options.max_workers,
                     .settings = kSettings,
                     .path = box.path()}),
          settings(telemetry, options),
          metrics(server::make_server_metrics(telemetry)),
          wakeups(std::make_shared<const server::Wakeups>(options.max_workers)) {
        box.hold(telemetry.segment().descriptor());
        tell_where_the_segment_is();
        settings.context.setting("segment_path", box.path(),
                                 options.segment_path.empty() ? "default" : origin_of("segment_path"));
        settings.context.describe_process();
    }

    /// As the Context shows it.
    std::string origin_of(std::string_view setting) const {
        const auto* row = configuration::find(configuration::group_settings(), setting);
        return shown_origin(configuration::origin_of(settings.composed(), *row));
    }
    void tell_where_the_segment_is();
    std::string listen(std::string_view address, std::shared_ptr<const server::Protocol> protocol,
                       const ListenerOptions& listener_options, std::string_view custom_name = {});
    void publish(const server::Listener& listener, std::string_view protocol);
    int serve(telemetry::SeatWriter& seat, std::function<void()> notify);
    supervisor::ArbiterConfig arbiter_config();

    void keep_choices();
    void take_over(supervisor::PidFile& pid_file, supervisor::ProcessGroupFile& process_group_file);
    supervisor::Journal journal() { return {telemetry.segment(), options.quiet}; }

    GroupOptions options;
    supervisor::Program program;
    supervisor::Daemon daemon;
    supervisor::Predecessor predecessor;
    BlackBox box;
    Telemetry telemetry;
    GroupSettings settings;
    std::shared_ptr<server::ServerMetrics> metrics;
    std::shared_ptr<const server::Wakeups> wakeups;
    std::vector<std::shared_ptr<server::Listener>> listeners;
    std::vector<std::shared_ptr<server::DatagramListener>> datagrams;
    struct Custom {
        std::string name;
        MakeCustomServer make;
        int socket = -1;
    };
    std::vector<Custom> custom;
    std::vector<sockets::BoundSocket> bound;  ///< for a successor
    std::vector<std::function<void(unsigned)>> after_fork;
    std::function<std::vector<std::unique_ptr<LogSink>>(unsigned)> log_sinks;
    LogWriterOptions log_options;
    service::ServiceConfig service;
    std::optional<GroupReload> reload;
};

Group::Group(GroupOptions options) {
    check(options);
    if (const auto mask = configuration::parse_umask(options.umask)) ::umask(*mask);
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
    auto protocol = server::make_http(impl_->telemetry, std::move(router), options);
    return impl_->listen(address, std::move(protocol), options);
}

std::string Group::stream(std::string_view address, StreamHandler handler, ListenerOptions options) {
    auto protocol = server::make_stream_protocol(impl_->telemetry, std::move(handler), options);
    return impl_->listen(address, std::move(protocol), options);
}

void Group::custom(std::string name, MakeCustomServer make) {
    impl_->custom.push_back({std::move(name), std::move(make)});
}

std::string Group::custom(std::string name, std::string_view address, MakeCustomServer make,
                          ListenerOptions options) {
    options.tls.reset();
    options.proxy.reset();
    std::string bound = impl_->listen(address, nullptr, options, name);
    impl_->custom.push_back({std::move(name), std::move(make), impl_->listeners.back()->socket});
    return bound;
}

std::string Group::Impl::listen(std::string_view address, std::shared_ptr<const server::Protocol> protocol,
                                const ListenerOptions& listener_options, std::string_view custom_name) {
    if (listeners.size() >= telemetry::kMaxListeners)
        throw std::length_error(fmt::format("a group has at most {} listeners", telemetry::kMaxListeners));
    const auto index = static_cast<unsigned>(listeners.size());
    ListenerOptions elsewhere = listener_options;  // as they read from another directory
    if (elsewhere.tls && leaves_directory(options))
        make_absolute({&elsewhere.tls->certificate, &elsewhere.tls->key, &elsewhere.tls->client_authority});
    auto transport = server::make_transport(elsewhere, telemetry);
    auto listener = server::bind_listener(address, listener_options, index);
    listener->protocol = std::move(protocol);
    server::bind_slots(*listener, options.max_workers);
    const bool always_tls = listener_options.tls && listener_options.tls->policy == TlsPolicy::required;
    const bool client_speaks_first =
        always_tls || (listener->protocol && listener->protocol->name() == "http");
    if (!client_speaks_first || listener->is_unix) listener->options.defer_accept = {};
    server::defer_accept(*listener, listener->options.defer_accept);
    listener->transport = std::move(transport);
    listener->queue_deadline = settings.queue_deadline(index, listener_options);
    settings.tell(*listener);
    const server::SocketAddress asked = server::parse_address(address);
    for (const int socket : listener->slot_sockets)
        bound.push_back({socket, {asked.storage, asked.size}});
    publish(*listener, listener->protocol ? listener->protocol->name() : custom_name);
    listeners.push_back(std::move(listener));
    return listeners.back()->address;
}

std::string Group::datagram(std::string_view address, DatagramHandler handler, DatagramOptions options) {
    auto listener = server::bind_datagram(address, std::move(handler), std::move(options),
                                          impl_->options.max_workers, impl_->telemetry);
    const auto tell = [&, index = impl_->datagrams.size()](std::string_view name, const std::string& value) {
        context().setting(fmt::format("datagram_{}_{}", index, name), value, impl_->options.origin);
    };
    tell("address", listener->address);
    tell("largest", fmt::format("{} B", static_cast<std::uint64_t>(listener->options.largest)));
    tell("concurrency", fmt::format("{}", listener->options.concurrency));
    const server::SocketAddress asked = server::parse_address(address);
    impl_->bound.push_back({listener->socket, {asked.storage, asked.size}});
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
void Group::Impl::publish(const server::Listener& listener, std::string_view protocol) {
    telemetry::Group& group = telemetry.segment().group();
    telemetry::ListenerRecord& record = group.listeners[listener.index];
    std::strncpy(record.protocol, std::string(protocol).c_str(), sizeof record.protocol - 1);
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
    for (const auto& listener : listeners)
        if (listener->protocol) config.listeners.push_back(listener);
    for (const Custom& server : custom)
        config.custom.push_back({server.name, [&, slot = seat.slot()](boost::asio::io_context& io) {
                                     return server.make({io, telemetry, slot, server.socket});
                                 }});
    config.datagrams = datagrams;
    config.metrics = metrics;
    config.wakeups = wakeups;
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
    config.scaling = settings.scaling;
    config.worker = [this](telemetry::SeatWriter& seat, std::function<void()> notify) {
        return serve(seat, std::move(notify));
    };
    config.quiet = options.quiet;
    config.capture_output = options.capture_output == CaptureOutput::automatic
                                ? options.daemonize || !options.output_file.empty()
                                : options.capture_output == CaptureOutput::yes;
    config.output_file = options.output_file;
    if (options.configuration && !options.configuration->path().empty()) {
        reload.emplace(telemetry, settings, options, listeners);
        config.reload = [this] { return reload->read_again(); };
    }
    for (const auto& listener : listeners)
        config.close_in_agent.insert(config.close_in_agent.end(), listener->slot_sockets.begin(),
                                     listener->slot_sockets.end());
    for (const auto& listener : datagrams) {
        const std::vector<int> sockets = listener->sockets();
        config.close_in_agent.insert(config.close_in_agent.end(), sockets.begin(), sockets.end());
    }
    config.close_in_agent.insert(config.close_in_agent.end(), wakeups->descriptors().begin(),
                                 wakeups->descriptors().end());
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
        settings.context.setting("agent_tls_address", server::bound_address(service.tls_listener),
                                 origin_of("agent_tls.address"));
    }
    config.agent = [this](int command_socket) {
        service.commands = command_socket;
        return service::run_agent(service);
    };
    return config;
}

/// Those that people made while the group before this one ran.
void Group::Impl::keep_choices() {
    if (predecessor.segment() < 0) return;
    const KeptChoices choices =
        signalbox::keep_choices(telemetry.segment(), predecessor.segment(), journal());
    if (choices.workers > 0) options.workers = choices.workers;
    if (!choices.kept.empty())
        journal().say(wire::Severity::info, "choices_kept",
                      fmt::format("As before the upgrade: {}.", fmt::join(choices.kept, ", ")));
}

/// This process is in charge of the group from now on.
void Group::Impl::take_over(supervisor::PidFile& pid_file, supervisor::ProcessGroupFile& process_group_file) {
    try {
        pid_file.take_over();
        process_group_file.write();
    } catch (const std::exception& error) {
        journal().say(wire::Severity::error, "pid_file_not_written", error.what());
    }
    if (const std::string obstacle = box.take_over(); !obstacle.empty())
        journal().say(wire::Severity::warning, "segment_elsewhere", obstacle);
    telemetry::note_setting(telemetry.segment(), "segment_path", box.path(), "upgrade");
}

int Group::run() {
    if (impl_->listeners.empty() && impl_->datagrams.empty() && impl_->custom.empty())
        throw std::logic_error(
            "the group serves nothing: call http(), stream(), datagram() or custom() before run()");
    impl_->keep_choices();
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
    supervisor::ProcessGroupFile process_group_file(impl_->options.process_group_file);
    if (!impl_->predecessor.in_charge()) process_group_file.write();
    config.handed_over = [&] {
        pid_file.give_away();
        process_group_file.give_away();
    };
    config.predecessor = &impl_->predecessor;
    config.taken_over = [&] { impl_->take_over(pid_file, process_group_file); };
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
    supervisor::Daemon& daemon = impl_->daemon;
    if (daemon.caller_waits()) {
        config.close_in_workers.push_back(daemon.descriptor());
        config.close_in_agent.push_back(daemon.descriptor());
        config.started = [&daemon] { daemon.succeed(); };
        // Workers that are not captured write where this process does.
        daemon.leave_terminal(config.capture_output);
    }
    if (impl_->options.daemonize) supervisor::change_directory(impl_->options.directory);
    const int status = supervisor::Arbiter(impl_->telemetry, std::move(config)).run();
    if (segment >= 0) ::close(segment);
    return status;
}

}  // namespace signalbox
