// What a keep-alive request costs, a connection with one request, and a new TLS connection with one; and what memory an idle
// server has: mailroom (two workers, the agent on) beside nginx (two workers), under wrk and under openssl s_time, on /hello.
#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>

#include "tests/bench/bench.hpp"
#include "tests/bench/open_loop.hpp"
#include "tests/bench/s_time.hpp"
#include "tests/bench/servers.hpp"
#include "tests/bench/temporary_directory.hpp"
#include "tests/bench/wrk.hpp"

namespace {

namespace fs = std::filesystem;
using bench::Server;

constexpr unsigned kWorkers = 2;
constexpr unsigned kWarmUpSeconds = 1;
constexpr unsigned kSeconds = 3;

std::string url_of(const Server& server) {
    return fmt::format("http://127.0.0.1:{}/hello", server.port);
}

Server start_mailroom(const fs::path& directory) {
    return bench::start_mailroom(directory, kWorkers);
}

Server start_nginx(const fs::path& directory, const std::string& tls = {}) {
    return bench::start_nginx(
        directory, kWorkers,
        fmt::format("    keepalive_requests 1000000000;\n"
                    "    server {{\n"
                    "        listen 127.0.0.1:{{port}}{}\n"
                    "        location /hello {{ default_type text/plain; return 200 \"Hello!\\n\"; }}\n"
                    "    }}\n",
                    tls.empty() ? ";" : " ssl;" + tls));
}

void make_certificate(const fs::path& directory) {
    const std::string command = fmt::format(
        "cd {} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
        "/CN=bench "
        "-keyout key.pem -out cert.pem 2>&1",
        directory.string());
    if (bench::output_of(command).find("-----") == std::string::npos)
        throw std::runtime_error("openssl makes no certificate");
}

Server start_tls_mailroom(const fs::path& directory) {
    make_certificate(directory);
    return bench::start_mailroom(directory, kWorkers,
                                 {"--tls-cert", directory / "cert.pem", "--tls-key", directory / "key.pem"});
}

Server start_tls_nginx(const fs::path& directory) {
    make_certificate(directory);
    return start_nginx(
        directory, " ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.2 TLSv1.3;");
}

void expect_port(const Server& server) {
    // Plain text is answered as well: with 400.
    const auto deadline = bench::Clock::now() + std::chrono::seconds(10);
    while (bench::attempt(server.port, "", std::chrono::milliseconds(20)).end ==
           bench::Attempt::End::refused) {
        server.process->expect_running();
        if (bench::Clock::now() > deadline) throw std::runtime_error("a server does not listen");
    }
}

/// µs of CPU per connection with a full handshake and one request.
double measure_handshakes(const std::function<Server(const fs::path&)>& start) {
    const bench::TemporaryDirectory directory;
    const Server server = start(directory.path());
    expect_port(server);
    bench::run_s_time(server.port, kWarmUpSeconds);
    const double cpu_before = server.process->cpu_seconds();
    const std::uint64_t connections = bench::run_s_time(server.port, kSeconds);
    return (server.process->cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(connections);
}

/// Requests per second, p99 in ms, µs of CPU per request.
std::vector<double> measure(const std::function<Server(const fs::path&)>& start,
                            const std::string& header = {}) {
    const bench::TemporaryDirectory directory;
    const Server server = start(directory.path());
    expect_hello(server);
    bench::run_wrk(url_of(server), kWarmUpSeconds, header);
    const double cpu_before = server.process->cpu_seconds();
    const bench::WrkResult result = bench::run_wrk(url_of(server), kSeconds, header);
    const double cpu = server.process->cpu_seconds() - cpu_before;
    return {result.requests_per_second, result.p99_milliseconds,
            cpu * 1e6 / static_cast<double>(result.requests)};
}

/// µs of CPU per connection with one request.
double measure_connections(const std::function<Server(const fs::path&)>& start) {
    return measure(start, "Connection: close").back();
}

/// MiB that all processes of a server have in memory, what they share counted once. It has answered one request.
double measure_memory(const std::function<Server(const fs::path&)>& start) {
    const bench::TemporaryDirectory directory;
    const Server server = start(directory.path());
    expect_hello(server);
    double kibibytes = 0;
    for (const pid_t pid : server.process->family()) {
        std::ifstream rollup(fmt::format("/proc/{}/smaps_rollup", pid));
        for (std::string line; std::getline(rollup, line);)
            if (line.starts_with("Pss:")) kibibytes += std::stod(line.substr(4));
    }
    return kibibytes / 1024;
}

}  // namespace

int main(int argc, char** argv) {
    bench::Suite suite("serve", argc, argv, 5);
    bench::extend_path();
    const auto ours = [](const fs::path& directory) { return start_mailroom(directory); };
    const auto nginx = [](const fs::path& directory) { return start_nginx(directory); };
    try {
        suite.compare(
            {{"serve_keepalive_rps", "req/s"},
             {"serve_keepalive_p99", "ms"},
             {"serve_keepalive_cpu", "µs/req"}},
            "nginx", [&] { return measure(ours); }, [&] { return measure(nginx); });
        suite.compare(
            {{"serve_close_cpu", "µs/connection", {}, {}, 0.9}}, "nginx",
            [&] { return std::vector{measure_connections(ours)}; },
            [&] { return std::vector{measure_connections(nginx)}; });
        suite.compare(
            "serve_tls_cpu", "µs/connection", "nginx", [] { return measure_handshakes(start_tls_mailroom); },
            [] { return measure_handshakes(start_tls_nginx); });
        suite.compare(
            {{"idle_memory", "MiB", 12.0}}, "nginx", [&] { return std::vector{measure_memory(ours)}; },
            [&] { return std::vector{measure_memory(nginx)}; });
    } catch (const std::exception& error) {
        std::cerr << "\nbench_serve: " << error.what() << '\n';
        return 1;
    }
    return suite.finish();
}
