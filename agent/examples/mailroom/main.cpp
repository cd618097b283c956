// mailroom: an HTTP service that classifies letters. See --help.
#include <sysexits.h>

#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "agent/examples/mailroom/letters.hpp"
#include "agent/examples/mailroom/misbehaviour.hpp"
#include "agent/examples/mailroom/options.hpp"
#include "signalbox/group.hpp"

namespace {

int serve(const mailroom::Options& options) {
    signalbox::Group group(options.group);
    signalbox::Router router;
    router.get("/hello", [](const signalbox::Request&) { return signalbox::Response::text("Hello!\n"); });
    mailroom::add_letters(router, group.telemetry());
    if (options.allow_misbehaviour) mailroom::add_misbehaviour(router);
    if (!options.crash_at_start_if.empty())
        group.after_fork([file = options.crash_at_start_if](unsigned) { mailroom::crash_if(file); });
    if (!options.log_path.empty())
        group.log_to([path = options.log_path](unsigned) {
            std::vector<std::unique_ptr<signalbox::LogSink>> sinks;
            sinks.push_back(
                std::make_unique<signalbox::JsonLinesSink>(signalbox::JsonLinesOptions{.path = path}));
            return sinks;
        });
    if (options.slow_start.count() > 0)
        group.after_fork([time = options.slow_start](unsigned) { std::this_thread::sleep_for(time); });
    for (const std::string& address : options.addresses) {
        const std::string bound = group.http(address, router, options.listener);
        std::cout << "listening on " << bound << std::endl;  // flushed: scripts wait for it, and run() forks
    }
    return group.run();
}

}  // namespace

int main(int argc, char** argv) {
    mailroom::Options options;
    if (const auto status = mailroom::parse_command_line(argc, argv, options)) return *status;
    try {
        return serve(options);
    } catch (const std::invalid_argument& error) {
        std::cerr << "mailroom: " << error.what() << '\n';
        return EX_USAGE;
    } catch (const std::exception& error) {
        std::cerr << "mailroom: " << error.what() << '\n';
        return EX_OSERR;
    }
}
