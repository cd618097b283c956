// What a keep-alive request costs, and what a new TLS connection with one request: mailroom (two workers, the
// agent on) beside nginx (two workers), under wrk and under openssl s_time, on /hello.
#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <thread>

#include "tests/bench/bench.hpp"
#include "tests/bench/child.hpp"
#include "tests/bench/s_time.hpp"
#include "tests/bench/temporary_directory.hpp"
#include "tests/bench/wrk.hpp"

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace fs = std::filesystem;
using asio::ip::tcp;

constexpr unsigned kWarmUpSeconds = 1;
constexpr unsigned kSeconds = 3;

/// A server under measurement, and where it listens.
struct Server {
    std::unique_ptr<bench::Child> process;
    tcp::endpoint endpoint;
    std::string url() const { return fmt::format("http://127.0.0.1:{}/hello", endpoint.port()); }
};

tcp::endpoint local_port(unsigned short port) {
    return {asio::ip::address_v4::loopback(), port};
}

Server start_mailroom(const fs::path& directory, const std::vector<std::string>& more = {}) {
    const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "mailroom";
    Server server;
    std::vector<std::string> arguments{
        program, "--listen", "127.0.0.1:0", "--workers", "2", "--agent", directory / "agent.sock", "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    server.process = std::make_unique<bench::Child>(arguments);
    const std::string line = server.process->read_line();  // "listening on 127.0.0.1:4242"
    server.endpoint = local_port(static_cast<unsigned short>(std::stoul(line.substr(line.rfind(':') + 1))));
    return server;
}

unsigned short free_port() {
    asio::io_context io;
    return tcp::acceptor(io, local_port(0)).local_endpoint().port();
}

std::string nginx_configuration(unsigned short port, const std::string& tls) {
    return fmt::format(
        "daemon off;\n"
        "worker_processes 2;\n"
        "pid nginx.pid;\n"
        "error_log stderr error;\n"
        "events {{ worker_connections 1024; }}\n"
        "http {{\n"
        "    access_log off;\n"
        "    keepalive_requests 1000000000;\n"
        "    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
        "    uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
        "    server {{\n"
        "        listen 127.0.0.1:{}{}\n"
        "        location /hello {{ default_type text/plain; return 200 \"Hello!\\n\"; }}\n"
        "    }}\n"
        "}}\n",
        port, tls.empty() ? ";" : " ssl;" + tls);
}

Server start_nginx(const fs::path& directory, const std::string& tls = {}) {
    Server server;
    server.endpoint = local_port(free_port());
    std::ofstream(directory / "nginx.conf") << nginx_configuration(server.endpoint.port(), tls) << std::flush;
    server.process = std::make_unique<bench::Child>(
        std::vector<std::string>{"nginx", "-p", directory, "-c", "nginx.conf", "-e", "stderr"});
    return server;
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
    return start_mailroom(directory,
                          {"--tls-cert", directory / "cert.pem", "--tls-key", directory / "key.pem"});
}

Server start_tls_nginx(const fs::path& directory) {
    make_certificate(directory);
    return start_nginx(
        directory, " ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.2 TLSv1.3;");
}

/// The status and body of GET /hello.
std::pair<unsigned, std::string> fetch(const tcp::endpoint& endpoint) {
    asio::io_context io;
    tcp::socket socket(io);
    socket.connect(endpoint);
    http::request<http::empty_body> request(http::verb::get, "/hello", 11);
    request.set(http::field::host, "127.0.0.1");
    http::write(socket, request);
    boost::beast::flat_buffer buffer;
    http::response<http::string_body> response;
    http::read(socket, buffer, response);
    return {response.result_int(), response.body()};
}

/// Until it answers as it has to; it may need a moment to start.
void expect_hello(const Server& server) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (;;) {
        server.process->expect_running();
        try {
            const auto [status, body] = fetch(server.endpoint);
            if (status == 200 && body == "Hello!\n") return;
            throw std::runtime_error(fmt::format("{} answers {} '{}'", server.url(), status, body));
        } catch (const boost::system::system_error&) {
            if (std::chrono::steady_clock::now() > deadline) throw;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

void expect_port(const Server& server) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (boost::system::error_code ec = boost::asio::error::not_connected; ec;) {
        server.process->expect_running();
        asio::io_context io;
        tcp::socket(io).connect(server.endpoint, ec);
        if (ec && std::chrono::steady_clock::now() > deadline) throw boost::system::system_error(ec);
    }
}

/// µs of CPU per connection with a full handshake and one request.
double measure_handshakes(const std::function<Server(const fs::path&)>& start) {
    const bench::TemporaryDirectory directory;
    const Server server = start(directory.path());
    expect_port(server);
    bench::run_s_time(server.endpoint.port(), kWarmUpSeconds);
    const double cpu_before = server.process->cpu_seconds();
    const std::uint64_t connections = bench::run_s_time(server.endpoint.port(), kSeconds);
    return (server.process->cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(connections);
}

/// Requests per second, p99 in ms, µs of CPU per request.
std::vector<double> measure(const std::function<Server(const fs::path&)>& start) {
    const bench::TemporaryDirectory directory;
    const Server server = start(directory.path());
    expect_hello(server);
    bench::run_wrk(server.url(), kWarmUpSeconds);
    const double cpu_before = server.process->cpu_seconds();
    const bench::WrkResult result = bench::run_wrk(server.url(), kSeconds);
    const double cpu = server.process->cpu_seconds() - cpu_before;
    return {result.requests_per_second, result.p99_milliseconds,
            cpu * 1e6 / static_cast<double>(result.requests)};
}

/// Debian has nginx where users' PATH does not lead.
void extend_path() {
    const char* path = std::getenv("PATH");
    setenv("PATH", (std::string(path ? path : "/usr/bin:/bin") + ":/usr/sbin:/usr/local/sbin").c_str(), 1);
}

}  // namespace

int main(int argc, char** argv) {
    bench::Suite suite("serve", argc, argv, 5);
    extend_path();
    try {
        suite.compare(
            {{"serve_keepalive_rps", "req/s"},
             {"serve_keepalive_p99", "ms"},
             {"serve_keepalive_cpu", "µs/req"}},
            "nginx",
            [] { return measure([](const fs::path& directory) { return start_mailroom(directory); }); },
            [] { return measure([](const fs::path& directory) { return start_nginx(directory); }); });
        suite.compare(
            "serve_tls_cpu", "µs/connection", "nginx", [] { return measure_handshakes(start_tls_mailroom); },
            [] { return measure_handshakes(start_tls_nginx); });
    } catch (const std::exception& error) {
        std::cerr << "\nbench_serve: " << error.what() << '\n';
        return 1;
    }
    return suite.finish();
}
