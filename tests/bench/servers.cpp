#include "tests/bench/servers.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "agent/telemetry/view.hpp"
#include "tests/bench/open_loop.hpp"

namespace bench {

using namespace std::chrono_literals;

namespace {

void expect_workers(const std::string& segment, std::size_t count) {
    const signalbox::telemetry::SegmentView view(segment);
    const auto all_ready = [&] {
        const auto workers = view.workers();
        return workers.size() == count && std::ranges::all_of(workers, [](const auto& worker) {
                   return worker.state == signalbox::wire::WorkerState::ready;
               });
    };
    for (const auto deadline = Clock::now() + 10s; !all_ready(); std::this_thread::sleep_for(10ms))
        if (Clock::now() > deadline) throw std::runtime_error("mailroom's workers are not ready");
}

}  // namespace

Server start_mailroom(const std::filesystem::path& directory, unsigned workers,
                      const std::vector<std::string>& options) {
    const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mailroom";
    std::vector<std::string> arguments{program,
                                       "--listen",
                                       "127.0.0.1:0",
                                       "--workers",
                                       std::to_string(workers),
                                       "--agent",
                                       directory / "agent.sock",
                                       "--segment",
                                       directory / "segment",
                                       "--quiet"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    Server server{std::make_unique<Child>(arguments), 0};
    const std::string line = server.process->read_line();  // "listening on 127.0.0.1:4242"
    server.port = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
    expect_workers((directory / "segment").string(), workers);
    return server;
}

Server start_nginx(const std::filesystem::path& directory, unsigned workers, std::string http,
                   const std::string& events) {
    Server server{nullptr, free_port()};
    for (std::size_t at; (at = http.find("{port}")) != std::string::npos;)
        http.replace(at, 6, std::to_string(server.port));
    std::ofstream(directory / "nginx.conf")
        << fmt::format(
               "daemon off;\n"
               "worker_processes {};\n"
               "pid nginx.pid;\n"
               "error_log stderr emerg;\n"
               "events {{ worker_connections 4096; {} }}\n"
               "http {{\n"
               "    access_log off;\n"
               "    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
               "    uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
               "{}\n"
               "}}\n",
               workers, events, http)
        << std::flush;
    server.process = std::make_unique<Child>(
        std::vector<std::string>{"nginx", "-p", directory, "-c", "nginx.conf", "-e", "stderr"});
    return server;
}

void expect_hello(const Server& server) {
    const auto deadline = Clock::now() + 10s;
    for (;;) {
        server.process->expect_running();
        const Attempt hello =
            attempt(server.port, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 1s);
        if (hello.end == Attempt::End::served) return;
        if (Clock::now() > deadline) throw std::runtime_error("a server does not answer GET /hello");
        std::this_thread::sleep_for(20ms);
    }
}

std::uint16_t free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(socket, reinterpret_cast<const sockaddr*>(&address), size);
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(socket);
    return ntohs(address.sin_port);
}

void extend_path() {
    const char* path = std::getenv("PATH");
    setenv("PATH", (std::string(path ? path : "/usr/bin:/bin") + ":/usr/sbin:/usr/local/sbin").c_str(), 1);
}

}  // namespace bench
