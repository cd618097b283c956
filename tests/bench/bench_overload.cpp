// What happens to clients when there are fifty times as many as can be served: two workers whose handlers block for
// 200 ms can serve ten a second, and 500 come each second for five seconds. Beside nginx with limit_conn in front of the
// same two workers.
//
// Who is refused has to know at once; who is let in has to be served within the queue's deadline; the workers must not
// idle meanwhile; and when the load is over, whoever comes next must not stand behind what it has left.
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <future>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "tests/bench/bench.hpp"
#include "tests/bench/open_loop.hpp"
#include "tests/bench/servers.hpp"
#include "tests/bench/temporary_directory.hpp"

namespace {

using namespace std::chrono_literals;
using bench::Attempt;
using bench::Clock;

constexpr unsigned kWorkers = 2;
constexpr auto kService = 200ms;
constexpr auto kLoad = 5s;
constexpr double kCapacity = 1000.0 / kService.count() * kWorkers;
constexpr double kDeadline = 5'000;  // the default of ListenerOptions::queue_deadline, in ms

const std::string kBlock = fmt::format(
    "POST /misbehave/block?milliseconds={} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: "
    "close\r\n\r\n",
    kService.count());
const std::string kHello = "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// Milliseconds from `then` until a client is served that begins then, and again whenever it is refused.
double until_served(std::uint16_t port, Clock::time_point then) {
    std::this_thread::sleep_until(then);
    while (Clock::now() < then + 10s) {
        if (bench::attempt(port, kHello, 10s).end == Attempt::End::served)
            return std::chrono::duration<double, std::milli>(Clock::now() - then).count();
        std::this_thread::sleep_for(5ms);
    }
    throw std::runtime_error("nobody is served within ten seconds of the load's end");
}

double count(const std::vector<Attempt>& attempts, Attempt::End end) {
    return static_cast<double>(
        std::ranges::count_if(attempts, [end](const Attempt& attempt) { return attempt.end == end; }));
}

/// In the order of the metrics in main().
std::vector<double> measure(std::uint16_t port) {
    const auto begin = Clock::now();
    auto newcomer = std::async(std::launch::async, until_served, port, begin + kLoad);
    const std::vector<Attempt> attempts =
        bench::OpenLoop{.port = port, .request = kBlock, .rate = 500, .duration = kLoad}.run();
    const double served = static_cast<double>(std::ranges::count_if(attempts, [&](const Attempt& attempt) {
        return attempt.end == Attempt::End::served && attempt.began + attempt.took <= begin + kLoad;
    }));
    return {milliseconds(attempts, Attempt::End::refused, 0.5),
            milliseconds(attempts, Attempt::End::refused, 0.99),
            milliseconds(attempts, Attempt::End::served, 0.99),
            count(attempts, Attempt::End::hung),
            served / std::chrono::duration<double>(kLoad).count(),
            newcomer.get()};
}

std::vector<double> measure_mailroom() {
    const bench::TemporaryDirectory directory;
    const bench::Server server = bench::start_mailroom(directory.path(), kWorkers, {"--allow-misbehaviour"});
    expect_hello(server);
    return measure(server.port);
}

/// As many connections go through to the workers as there are workers.
std::vector<double> measure_nginx() {
    const bench::TemporaryDirectory directory;
    const bench::Server upstream =
        bench::start_mailroom(directory.path(), kWorkers, {"--allow-misbehaviour"});
    const bench::Server server = bench::start_nginx(
        directory.path(), kWorkers,
        fmt::format("    limit_conn_zone $server_name zone=all:1m;\n"
                    "    server {{\n"
                    "        listen 127.0.0.1:{{port}};\n"
                    "        location / {{ limit_conn all {}; proxy_pass http://127.0.0.1:{}; }}\n"
                    "    }}\n",
                    kWorkers, upstream.port));
    expect_hello(upstream);
    expect_hello(server);
    return measure(server.port);
}

}  // namespace

int main(int argc, char** argv) {
    bench::Suite suite("overload", argc, argv, 3);
    bench::extend_path();
    try {
        suite.compare({{"overload_refused_p50", "ms"},
                       {"overload_refused_p99", "ms", 1.0},
                       {"overload_served_p99", "ms", kDeadline + kService.count()},
                       {"overload_hung", "clients", 0.0},
                       {"overload_goodput", "req/s", 1.05 * kCapacity, 0.9 * kCapacity},
                       {"overload_newcomer_served", "ms", 250.0}},
                      "nginx limit_conn", measure_mailroom, measure_nginx);
    } catch (const std::exception& error) {
        std::cerr << "\nbench_overload: " << error.what() << '\n';
        return 1;
    }
    return suite.finish();
}
