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
constexpr unsigned kSeconds = 2;  ///< of a slice

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

/// A server that has warmed up, measured a slice at a time.
class Running {
public:
    using Start = std::function<Server(const fs::path&)>;
    explicit Running(const Start& start) : server_(start(directory_.path())) {}
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    const Server& server() const { return server_; }
    /// µs of CPU for each of what `load` returns the number of.
    template <class Load>
    double cost(Load load) const {
        const double before = server_.process->cpu_seconds();
        const auto count = static_cast<double>(load());
        return (server_.process->cpu_seconds() - before) * 1e6 / count;
    }

private:
    const bench::TemporaryDirectory directory_;
    const Server server_;
};

/// Requests per second, p99 in ms, µs of CPU per request; for one connection after the other only the last means anything.
bench::Run under_wrk(const Running& running, const std::string& header = {}) {
    expect_hello(running.server());
    bench::run_wrk(url_of(running.server()), kSeconds, header);
    return [&running, header] {
        bench::WrkResult result;
        const double cost = running.cost([&] {
            result = bench::run_wrk(url_of(running.server()), kSeconds, header);
            return result.requests;
        });
        return std::vector{result.requests_per_second, result.p99_milliseconds, cost};
    };
}

/// µs of CPU per connection with one request.
bench::Run one_request_each(const Running& running) {
    return [run = under_wrk(running, "Connection: close")] { return std::vector{run().back()}; };
}

/// µs of CPU per connection with a full handshake and one request.
bench::Run one_handshake_each(const Running& running) {
    expect_port(running.server());
    const auto connect = [&running] { return bench::run_s_time(running.server().port, kSeconds); };
    connect();
    return [&running, connect] { return std::vector{running.cost(connect)}; };
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
    bench::Suite suite("serve", argc, argv, 9);
    bench::extend_path();
    const auto ours = [](const fs::path& directory) { return start_mailroom(directory); };
    const auto nginx = [](const fs::path& directory) { return start_nginx(directory); };
    try {
        {
            const Running a(ours);
            const Running b(nginx);
            suite.compare({{"serve_keepalive_rps", "req/s"},
                           {"serve_keepalive_p99", "ms"},
                           {.name = "serve_keepalive_cpu", .unit = "µs/req", .ratio_at_most = 1.0}},
                          "nginx", under_wrk(a), under_wrk(b));
            suite.compare({{.name = "serve_close_cpu", .unit = "µs/connection", .ratio_at_most = 0.9}},
                          "nginx", one_request_each(a), one_request_each(b));
        }
        {
            const Running a(start_tls_mailroom);
            const Running b(start_tls_nginx);
            suite.compare({{.name = "serve_tls_cpu", .unit = "µs/connection", .ratio_at_most = 1.0}}, "nginx",
                          one_handshake_each(a), one_handshake_each(b));
        }
        suite.compare(
            {{"idle_memory", "MiB", 12.0}}, "nginx", [&] { return std::vector{measure_memory(ours)}; },
            [&] { return std::vector{measure_memory(nginx)}; });
    } catch (const std::exception& error) {
        std::cerr << "\nbench_serve: " << error.what() << '\n';
        return 1;
    }
    return suite.finish();
}
