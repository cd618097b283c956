// signalboxctl: the terminal console. Exit codes: 0 done, 1 not done, 2 called wrongly.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/text/words.hpp"
#include "console/ctl/commands.hpp"

namespace {

using namespace signalbox;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr int kNotDone = 1;
constexpr int kCalledWrongly = 2;

struct Arguments {
    std::string url;
    client::TlsFiles tls;
    double timeout_seconds = 10;
    bool json = false;

    std::optional<std::uint32_t> slot;
    bool all = false;
    bool no_wait = false;
    unsigned patience_seconds = 60;
    unsigned workers = 0;
    std::string setting;
    std::string value;
    bool follow = false;
    int limit = 100;
};

client::Options session_options(const Arguments& arguments) {
    client::Options options{.url = client::Url::parse(arguments.url), .tls = arguments.tls};
    options.reconnect = arguments.follow;
    options.connect_timeout = options.call_timeout =
        milliseconds(static_cast<int>(arguments.timeout_seconds * 1000));
    return options;
}

void add_connection_options(CLI::App& app, Arguments& arguments) {
    app.add_option("URL", arguments.url, "The agent: unix:/run/mailroom/agent.sock or tls://host:port")
        ->required();
    app.add_option("--ca", arguments.tls.authority,
                   "PEM file of the authority that the agent's certificate comes from");
    app.add_option("--cert", arguments.tls.certificate, "PEM file of your own certificate");
    app.add_option("--key", arguments.tls.key,
                   "PEM file of your private key (that of --cert if it holds both)");
    app.add_option("--timeout", arguments.timeout_seconds, "Seconds to wait for the agent's answer")
        ->check(CLI::Range(0.01, 3600.0))
        ->capture_default_str();
    app.add_flag("--json", arguments.json, "Print JSON; events one per line");
}

void add_commands(CLI::App& app, Arguments& arguments) {
    app.add_subcommand("status", "The group as a whole, and its listeners");
    app.add_subcommand("workers", "Every worker process");

    CLI::App* connections = app.add_subcommand("connections", "Live connections, and what each is at");
    connections->add_option("SLOT", arguments.slot, "Of one worker");

    CLI::App* cycle =
        app.add_subcommand("cycle", "Replace a worker: the new one starts first, the old one drains");
    CLI::Option* slot = cycle->add_option("SLOT", arguments.slot, "The worker's slot");
    cycle->add_flag("--all", arguments.all, "Replace all workers, a few at a time")->excludes(slot);
    cycle->add_flag("--no-wait", arguments.no_wait, "Return when the agent has accepted the command");
    cycle
        ->add_option("--wait", arguments.patience_seconds,
                     "Seconds to wait, per worker, until the replacement is ready")
        ->capture_default_str();

    CLI::App* keep =
        app.add_subcommand("keep", "Take a cycle back: the worker serves on, its replacement drains");
    keep->add_option("SLOT", arguments.slot, "The worker's slot")->required();

    CLI::App* scale = app.add_subcommand("scale", "Change the number of workers");
    scale->add_option("N", arguments.workers, "How many there should be")
        ->required()
        ->check(CLI::PositiveNumber);

    CLI::App* upgrade = app.add_subcommand(
        "upgrade", "Replace the program: the new version takes over when all its workers are ready");
    upgrade->add_flag("--no-wait", arguments.no_wait, "Return when the agent has accepted the command");
    upgrade
        ->add_option("--wait", arguments.patience_seconds,
                     "Seconds to wait until the new version is in charge")
        ->capture_default_str();

    CLI::App* settings =
        app.add_subcommand("settings", "Facts, settings and tunables, and where they come from");
    settings->add_flag("--all", arguments.all, "The environment too");

    CLI::App* set = app.add_subcommand("set", "Change a tunable, in all workers at once");
    set->add_option("NAME", arguments.setting, "As 'settings' shows it")->required();
    set->add_option("VALUE", arguments.value, "true, 42, 0.75, 250ms, 512MiB")->required();

    CLI::App* events = app.add_subcommand("events", "What happened lately");
    events->add_flag("--follow,-f", arguments.follow, "Go on with what happens from now on");
    events->add_option("--limit", arguments.limit, "How many")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
}

void run(const CLI::App& app, const Arguments& arguments) {
    std::optional<std::chrono::seconds> patience;
    if (!arguments.no_wait) patience.emplace(arguments.patience_seconds);
    if (app.got_subcommand("upgrade"))
        return ctl::upgrade(session_options(arguments), patience, arguments.json);
    ctl::Connection agent(session_options(arguments));
    if (app.got_subcommand("status")) return ctl::show_status(agent, arguments.json);
    if (app.got_subcommand("workers")) return ctl::show_workers(agent, arguments.json);
    if (app.got_subcommand("connections"))
        return ctl::show_connections(agent, arguments.slot, arguments.json);
    if (app.got_subcommand("scale")) return ctl::scale_group(agent, arguments.workers, arguments.json);
    if (app.got_subcommand("keep")) return ctl::keep(agent, *arguments.slot, arguments.json);
    if (app.got_subcommand("settings")) return ctl::show_settings(agent, arguments.all, arguments.json);
    if (app.got_subcommand("set"))
        return ctl::set_tunable(agent, arguments.setting, arguments.value, arguments.json);
    if (app.got_subcommand("cycle")) return ctl::cycle(agent, arguments.slot, patience, arguments.json);
    if (arguments.follow) return ctl::follow_events(agent, arguments.json);
    ctl::show_events(agent, arguments.limit, arguments.json);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Watches and acts on a preforking server through its Signalbox agent.", "signalboxctl");
    Arguments arguments;
    app.set_version_flag("--version", SIGNALBOX_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    add_connection_options(app, arguments);
    add_commands(app, arguments);
    try {
        app.parse(argc, argv);
        if (app.got_subcommand("cycle") && !arguments.slot && !arguments.all)
            throw CLI::RequiredError("cycle: a SLOT, or --all,");
        run(app, arguments);
        return 0;
    } catch (const CLI::ParseError& problem) {
        return app.exit(problem) == 0 ? 0 : kCalledWrongly;
    } catch (const std::invalid_argument& problem) {
        fmt::print(stderr, "signalboxctl: {}\n", text::escaped(problem.what()));
        return kCalledWrongly;
    } catch (const std::exception& problem) {
        fmt::print(stderr, "signalboxctl: {}\n", text::escaped(problem.what()));
        return kNotDone;
    }
}
