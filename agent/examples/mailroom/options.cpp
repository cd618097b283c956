#include "agent/examples/mailroom/options.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <map>
#include <stdexcept>

namespace mailroom {

namespace {

constexpr const char* kDescription =
    "mailroom classifies letters: POST a message to /classify and it says whether it is spam.\n"
    "A small but complete server on Signalbox, to run, watch and copy from.\n";

constexpr const char* kExamples =
    "\nExamples:\n"
    "  mailroom --workers 4 --agent /run/mailroom/agent.sock\n"
    "  curl --data-binary @letter.eml http://127.0.0.1:8080/classify\n"
    "  mailroom --listen '*:8080' --listen unix:/run/mailroom/http.sock --memory-limit 512MiB\n"
    "\nSignals: TERM and INT drain and stop, QUIT stops at once, HUP cycles all workers one after another,\n"
    "USR1 opens the log file again, USR2 upgrades: starts this program anew and hands over to it,\n"
    "TTIN and TTOU start and stop one worker.\n"
    "A worker beyond worker_request_limit, worker_age_limit and the like is cycled: signalboxctl set.\n"
    "Exit status: 0 after an orderly stop; otherwise as in sysexits.h.";

/// Converts with `parse`, whose exception becomes CLI11's complaint about that option.
template <class Target, class Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, Target& target, Parse parse,
                        const std::string& help) {
    const auto convert = [name, &target, parse](const std::string& text) {
        try {
            target = parse(text);
        } catch (const std::invalid_argument& error) {
            throw CLI::ValidationError(name, error.what());
        }
    };
    return app.add_option_function<std::string>(name, convert, help);
}

void add_agent_options(CLI::App& app, signalbox::GroupOptions& group) {
    const char* section = "Agent (what the console, browsers and Prometheus connect to)";
    app.add_option("--agent", group.agent_socket,
                   "Unix socket that the agent listens on; without it there is no agent")
        ->type_name("SOCKET")
        ->group(section);
    auto* tls =
        app.add_option("--agent-tls", group.agent_tls.address, "Also listen here, with TLS 1.3: 0.0.0.0:9443")
            ->type_name("ADDRESS")
            ->group(section);
    auto* certificate =
        app.add_option("--agent-cert", group.agent_tls.certificate, "The agent's certificate (PEM)")
            ->type_name("FILE")
            ->check(CLI::ExistingFile)
            ->group(section);
    auto* key = app.add_option("--agent-key", group.agent_tls.key, "Its key (PEM)")
                    ->type_name("FILE")
                    ->check(CLI::ExistingFile)
                    ->group(section);
    auto* authority = app.add_option("--agent-client-ca", group.agent_tls.client_authority,
                                     "Who signs the clients' certificates (PEM)")
                          ->type_name("FILE")
                          ->check(CLI::ExistingFile)
                          ->group(section);
    app.add_option("--agent-operator", group.agent_tls.operators,
                   "Common names of the clients that may act; others may only look")
        ->type_name("CN")
        ->allow_extra_args(false)
        ->needs(tls)
        ->group(section);
    tls->needs(certificate)->needs(key)->needs(authority);
}

void add_transport_options(CLI::App& app, signalbox::ListenerOptions& listener) {
    const char* section = "Transport (of all listeners)";
    const auto add_file = [&](const char* name, std::string signalbox::TlsOptions::*file, const char* help) {
        const auto take = [&listener, file](const std::string& path) {
            if (!listener.tls) listener.tls.emplace();
            (*listener.tls).*file = path;
        };
        return app.add_option_function<std::string>(name, take, help)
            ->type_name("FILE")
            ->check(CLI::ExistingFile)
            ->group(section);
    };
    auto* certificate = add_file("--tls-cert", &signalbox::TlsOptions::certificate,
                                 "Speak TLS with this certificate and those that lead to its root (PEM).\n"
                                 "When the files change, the new ones are served from then on");
    auto* key = add_file("--tls-key", &signalbox::TlsOptions::key, "Its key (PEM)");
    certificate->needs(key);
    key->needs(certificate);
    const auto trust = [&listener](const std::vector<std::string>& networks) {
        listener.proxy = signalbox::ProxyOptions{.trusted = networks};
    };
    app.add_option_function<std::vector<std::string>>(
           "--trusted-proxy", trust,
           "Whose connections begin with a PROXY header, version 2: 192.0.2.7, 10.0.0.0/8 or unix")
        ->type_name("NETWORK")
        ->allow_extra_args(false)
        ->group(section);
}

void add_server_options(CLI::App& app, Options& options) {
    app.add_option("--listen", options.addresses,
                   "Where to serve HTTP: 127.0.0.1:8080, [::1]:8080, *:8080 or unix:PATH; port 0 takes a\n"
                   "free one. May be given several times. Prints \"listening on ADDRESS\" for each")
        ->type_name("ADDRESS")
        ->allow_extra_args(false)
        ->capture_default_str();
    app.add_option("--workers", options.group.workers, "How many worker processes serve")
        ->type_name("N")
        ->check(CLI::Range(1u, options.group.max_workers))
        ->capture_default_str();
    add_parsed(app, "--memory-limit", options.group.worker_memory_limit, signalbox::parse_bytes,
               "A worker whose resident memory exceeds this is cycled: 512MiB. 0: no limit (default)")
        ->type_name("SIZE");
    const std::map<std::string, signalbox::Accept> modes{{"queue", signalbox::Accept::queue},
                                                         {"exclusive", signalbox::Accept::exclusive},
                                                         {"reuseport", signalbox::Accept::reuseport}};
    app.add_option(
           "--accept", options.listener.accept,
           "Who accepts: a thread per worker (queue), the event loops from one socket (exclusive), or\n"
           "each from its own (reuseport)")
        ->transform(CLI::CheckedTransformer(modes))
        ->default_str("queue");
    app.add_option("--queue-capacity", options.listener.queue_capacity,
                   "How many accepted connections may wait in a worker; further ones get 503")
        ->type_name("N")
        ->check(CLI::Range(1u, 1u << 20))
        ->capture_default_str();
    add_parsed(app, "--queue-deadline", options.listener.queue_deadline, parse_duration,
               "A connection that waited longer gets 503 (default 5s)")
        ->type_name("TIME");
    add_parsed(app, "--drain-deadline", options.group.drain_deadline, parse_duration,
               "How long a stopping worker may take to finish what is open (default 10s)")
        ->type_name("TIME");
    auto* segment =
        app.add_option("--segment", options.group.segment_path,
                       "Keep the telemetry in this file, which outlives a crash (default: mailroom.segment\n"
                       "in $XDG_RUNTIME_DIR/signalbox, or for root in /run/signalbox)")
            ->type_name("PATH");
    app.add_flag("--anonymous-segment", options.group.anonymous_segment,
                 "Keep it in memory instead, which ends with the group")
        ->excludes(segment);
    app.add_option("--log", options.log_path,
                   "Write the workers' events to this file, one JSON object a line; rotated at 64 MiB")
        ->type_name("PATH");
    app.add_option("--pid-file", options.group.pid_file, "Keep the arbiter's process number in this file")
        ->type_name("PATH");
    app.add_flag("--quiet", options.group.quiet, "Nothing on stderr but errors");
    app.add_flag("--allow-misbehaviour", options.allow_misbehaviour,
                 "Serve POST /misbehave/{leak,leak-files,spin,block,sleep,deadlock,crash,exit}, for\n"
                 "demonstrations and tests. Whoever reaches the server can then take its workers down");
    app.add_option("--crash-at-start-if", options.crash_at_start_if,
                   "A worker crashes when it starts while this file is there, as on a bad configuration")
        ->type_name("PATH");
    add_parsed(app, "--slow-start", options.slow_start, parse_duration,
               "What each worker needs to become ready, likewise")
        ->type_name("TIME");
}

}  // namespace

std::chrono::milliseconds parse_duration(const std::string& text) {
    constexpr std::chrono::hours kLongest{24};
    std::int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [unit_start, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(unit_start, static_cast<std::size_t>(end - unit_start));
    const std::int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "min" ? 60'000 : 0;
    const bool right = error == std::errc{} && factor != 0 && number >= 0 &&
                       number <= std::chrono::milliseconds(kLongest).count() / factor;
    if (!right)
        throw std::invalid_argument(
            fmt::format("'{}' is not a time of at most 24 hours; try '500ms' or '5s'", text));
    return std::chrono::milliseconds(number * factor);
}

std::optional<int> parse_command_line(int argc, char** argv, Options& options) {
    CLI::App app{kDescription, "mailroom"};
    app.footer(kExamples);
    options.group.name = "mailroom";
    options.group.origin = "command line";
    add_server_options(app, options);
    add_transport_options(app, options.listener);
    add_agent_options(app, options.group);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : EX_USAGE;
    }
    return std::nullopt;
}

}  // namespace mailroom
