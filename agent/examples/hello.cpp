// A server with two workers and a counter. `curl http://127.0.0.1:8080/hello`; `signalbox --connect
// unix:hello.sock`; `signalbox-hello --help`
#include <utility>

#include "signalbox/configuration.hpp"

int main(int argc, char** argv) {
    signalbox::Configuration configuration({.name = "hello", .workers = 2, .agent_socket = "hello.sock"});
    configuration.listener("web", "127.0.0.1:8080");
    return configuration.run(argc, argv, [&](signalbox::Group& group) {
        signalbox::Counter greetings(group.telemetry(), "greetings_total", "Greetings sent");
        signalbox::Router router;
        router.get("/hello", [greetings](const signalbox::Request&) mutable {
            greetings.add();
            return signalbox::Response::text("Hello!\n");
        });
        const signalbox::ConfiguredListener& web = configuration.listener("web");
        group.http(web.address, std::move(router), web.options);
    });
}
