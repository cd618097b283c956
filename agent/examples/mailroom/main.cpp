// mailroom: an HTTP service that classifies letters. See --help.
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/examples/mailroom/letters.hpp"
#include "agent/examples/mailroom/misbehaviour.hpp"
#include "signalbox/configuration.hpp"

namespace {

constexpr const char* kDescription =
    "mailroom classifies letters: POST a message to /classify and it says whether it is spam.\n"
    "A small but complete server on Signalbox, to run, watch and copy from.\n";

constexpr const char* kExamples =
    "\nExamples:\n"
    "  mailroom --workers 4 --agent /run/mailroom/agent.sock\n"
    "  curl --data-binary @letter.eml http://127.0.0.1:8080/classify\n"
    "  mailroom --listen '*:8080' --listen unix:/run/mailroom/http.sock --memory-limit 512MiB\n"
    "  mailroom --config /etc/mailroom.json --check-config\n"
    "\nPrints \"listening on ADDRESS\" for each listener.\n"
    "Signals: TERM and INT drain and stop, QUIT stops at once, HUP reads the configuration again and cycles "
    "all\n"
    "workers one after another, USR1 opens the log file again, USR2 upgrades: starts this program anew\n"
    "and hands over to it, TTIN and TTOU start and stop one worker.\n"
    "Settings that are tunables can be changed while it runs: signalboxctl AGENT set.\n"
    "Exit status: 0 after an orderly stop; otherwise as in sysexits.h.";

std::vector<std::unique_ptr<signalbox::LogSink>> log_file(const std::string& path) {
    std::vector<std::unique_ptr<signalbox::LogSink>> sinks;
    sinks.push_back(std::make_unique<signalbox::JsonLinesSink>(signalbox::JsonLinesOptions{.path = path}));
    return sinks;
}

}  // namespace

int main(int argc, char** argv) {
    std::string log;
    bool allow_misbehaviour = false;
    std::string crash_at_start_if;
    std::chrono::milliseconds slow_start{0};
    signalbox::Configuration configuration({.name = "mailroom"},
                                           {.description = kDescription, .footer = kExamples});
    configuration.listener("web", "127.0.0.1:8080");
    configuration.any_listeners();
    configuration.setting("log", &log,
                          "The workers' events go to this file, one JSON object a line; rotated at 64 MiB");
    configuration.setting("allow_misbehaviour", &allow_misbehaviour,
                          "Serve POST /misbehave/{leak,leak-files,spin,block,sleep,deadlock,crash,exit}, for "
                          "demonstrations and tests; "
                          "whoever reaches the server can then take its workers down");
    configuration.setting(
        "crash_at_start_if", &crash_at_start_if,
        "A worker crashes when it starts while this file is there, as on a bad configuration");
    configuration.setting("slow_start", &slow_start, "What each worker needs to become ready, likewise");
    return configuration.run(argc, argv, [&](signalbox::Group& group) {
        signalbox::Router router;
        router.get("/hello", [](const signalbox::Request&) { return signalbox::Response::text("Hello!\n"); });
        mailroom::add_letters(router, group.telemetry());
        if (allow_misbehaviour) mailroom::add_misbehaviour(router);
        if (!crash_at_start_if.empty())
            group.after_fork([crash_at_start_if](unsigned) { mailroom::crash_if(crash_at_start_if); });
        if (!log.empty()) group.log_to([log](unsigned) { return log_file(log); });
        if (slow_start.count() > 0)
            group.after_fork([slow_start](unsigned) { std::this_thread::sleep_for(slow_start); });
        for (const signalbox::ConfiguredListener& listener : configuration.listeners()) {
            const std::string bound = group.http(listener.address, router, listener.options);
            std::cout << "listening on " << bound
                      << std::endl;  // flushed: scripts wait for it, and run() forks
        }
    });
}
