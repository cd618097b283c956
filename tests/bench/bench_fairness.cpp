// How evenly kept-open connections spread over the workers, and whether a worker that computes all the time gets fewer.
//
// Jain's index of the connections per worker is 1 when all have the same, 1 / n when one of n has all. A thousand are
// opened at once, or at 1,000 a second, by one process; beside nginx, as it is and with reuseport. Then new connections
// with one request each come to four workers, of which one is kept in a handler that computes, again and again; beside
// the same without that.
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/bench/bench.hpp"
#include "tests/bench/open_loop.hpp"
#include "tests/bench/servers.hpp"
#include "tests/bench/temporary_directory.hpp"

namespace {

using namespace std::chrono_literals;
using bench::Attempt;
using bench::Clock;
using bench::Server;

constexpr unsigned kConnections = 1'000;
constexpr double kLeastIndex = 0.9995;

/// Connections that stay open until the end of the object, each having had one answer.
class KeptConnections {
public:
    /// All at once if `pause` is 0, else one each `pause`.
    KeptConnections(std::uint16_t port, std::chrono::nanoseconds pause) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const auto begin = Clock::now();
        for (unsigned i = 0; i < kConnections; ++i) {
            std::this_thread::sleep_until(begin + i * pause);
            const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (socket < 0) throw std::system_error(errno, std::generic_category(), "socket of a client");
            sockets_.push_back(socket);
            if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
                throw std::system_error(errno, std::generic_category(), "connect");
        }
        for (const int socket : sockets_)
            ask(socket);
    }
    ~KeptConnections() {
        for (const int socket : sockets_)
            ::close(socket);
    }
    KeptConnections(const KeptConnections&) = delete;
    KeptConnections& operator=(const KeptConnections&) = delete;

private:
    static void ask(int socket) {
        constexpr std::string_view kRequest = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";
        ::send(socket, kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
        char answer[1024];
        const ssize_t size = ::recv(socket, answer, sizeof answer, 0);
        const std::string_view begun(answer, size > 0 ? static_cast<std::size_t>(size) : 0);
        if (!begun.starts_with("HTTP/1.1 200"))
            throw std::runtime_error(
                fmt::format("a connection is not served but told '{}'", begun.substr(0, begun.find('\r'))));
    }
    std::vector<int> sockets_;
};

std::map<pid_t, double> sockets_by_process(const Server& server) {
    std::map<pid_t, double> counts;
    for (const pid_t pid : server.process->family()) {
        std::error_code ended;
        for (const auto& entry :
             std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid), ended)) {
            const std::string target = std::filesystem::read_symlink(entry.path(), ended).string();
            if (target.starts_with("socket:")) counts[pid] += 1;
        }
    }
    return counts;
}

double jain(const std::vector<double>& values) {
    double sum = 0, squares = 0;
    for (const double value : values) {
        sum += value;
        squares += value * value;
    }
    return sum * sum / (static_cast<double>(values.size()) * squares);
}

/// Over the `workers` processes that have got most.
double index_of(const Server& server, unsigned workers, std::chrono::nanoseconds pause) {
    expect_hello(server);
    std::this_thread::sleep_for(300ms);  // until those that have just been answered are closed
    auto before = sockets_by_process(server);
    const KeptConnections connections(server.port, pause);
    std::vector<double> got;
    for (const auto& [pid, sockets] : sockets_by_process(server))
        got.push_back(sockets - before[pid]);
    std::ranges::sort(got, std::greater());
    got.resize(workers);
    return jain(got);
}

double mailroom_index(unsigned workers, std::chrono::nanoseconds pause) {
    const bench::TemporaryDirectory directory;
    return index_of(bench::start_mailroom(directory.path(), workers), workers, pause);
}

double nginx_index(unsigned workers, std::chrono::nanoseconds pause, const char* listen_option) {
    const bench::TemporaryDirectory directory;
    return index_of(bench::start_nginx(directory.path(), workers,
                                       fmt::format("    server {{\n"
                                                   "        listen 127.0.0.1:{{port}} backlog=1024 {};\n"
                                                   "        location /hello {{ return 200 \"Hello!\\n\"; }}\n"
                                                   "    }}\n",
                                                   listen_option)),
                    workers, pause);
}

/// Keeps one worker busy until the end of the object: asks it to compute, over one connection, again and again.
class Spinning {
public:
    explicit Spinning(std::uint16_t port) : thread_([this, port] { run(port); }) {
        while (!begun_)
            std::this_thread::sleep_for(1ms);
        std::this_thread::sleep_for(500ms);
    }
    ~Spinning() {
        stop_ = true;
        thread_.join();
    }
    Spinning(const Spinning&) = delete;
    Spinning& operator=(const Spinning&) = delete;

private:
    void run(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        while (!stop_) {
            constexpr std::string_view kSpin =
                "POST /misbehave/spin?seconds=0.3 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
            ::send(socket, kSpin.data(), kSpin.size(), MSG_NOSIGNAL);
            begun_ = true;
            char answer[1024];
            if (::recv(socket, answer, sizeof answer, 0) <= 0) break;
        }
        ::close(socket);
    }

    std::atomic<bool> begun_ = false;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

/// ms, of one request on a new connection each, 300 a second.
double p99_of_new_requests(bool one_spins) {
    const bench::TemporaryDirectory directory;
    const Server server = bench::start_mailroom(directory.path(), 4, {"--allow-misbehaviour"});
    expect_hello(server);
    std::optional<Spinning> spinning;
    if (one_spins) spinning.emplace(server.port);
    const auto attempts =
        bench::OpenLoop{.port = server.port,
                        .request = "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                        .rate = 300,
                        .duration = 4s}
            .run();
    if (std::ranges::any_of(attempts, [](const Attempt& one) { return one.end != Attempt::End::served; }))
        throw std::runtime_error("a request is not served");
    return milliseconds(attempts, Attempt::End::served, 0.99);
}

}  // namespace

int main(int argc, char** argv) {
    bench::Suite suite("fairness", argc, argv, 3);
    bench::extend_path();
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 8'192);
    setrlimit(RLIMIT_NOFILE, &files);
    try {
        for (const unsigned workers : {2u, 8u}) {
            for (const auto& [how, pause] :
                 {std::pair<const char*, std::chrono::nanoseconds>{"at_once", 0ns}, {"1000_a_second", 1ms}}) {
                for (const auto& [peer, option] :
                     {std::pair<const char*, const char*>{"nginx", ""}, {"nginx reuseport", "reuseport"}}) {
                    const std::string name =
                        fmt::format("fairness_{}_{}{}", workers, how, *option ? "_beside_reuseport" : "");
                    suite.compare(
                        {{name, "Jain", {}, kLeastIndex}}, peer,
                        [&] { return std::vector{mailroom_index(workers, pause)}; },
                        [&] { return std::vector{nginx_index(workers, pause, option)}; });
                }
            }
        }
        suite.compare(
            {{"fairness_busy_p99", "ms", {}, {}, 2.0}}, "undisturbed",
            [] { return std::vector{p99_of_new_requests(true)}; },
            [] { return std::vector{p99_of_new_requests(false)}; });
    } catch (const std::exception& error) {
        std::cerr << "\nbench_fairness: " << error.what() << '\n';
        return 1;
    }
    return suite.finish();
}
