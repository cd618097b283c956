// A server with two workers and a counter. `curl http://127.0.0.1:8080/hello`; `signalbox --connect
// unix:hello.sock`
#include <exception>
#include <iostream>

#include "signalbox/group.hpp"

int main() {
    try {
        signalbox::Group group({.name = "hello", .workers = 2, .agent_socket = "hello.sock"});
        signalbox::Counter greetings(group.telemetry(), "greetings_total", "Greetings sent");
        signalbox::Router router;
        router.get("/hello", [greetings](const signalbox::Request&) mutable {
            greetings.add();
            return signalbox::Response::text("Hello!\n");
        });
        group.http("127.0.0.1:8080", std::move(router));
        return group.run();
    } catch (const std::exception& error) {
        std::cerr << "signalbox-hello: " << error.what() << '\n';
        return 1;
    }
}
