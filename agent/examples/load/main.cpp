// signalbox-load: sends HTTP requests at a rate and says what came of them. See --help.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <stdexcept>

#include "agent/examples/load/generator.hpp"

namespace {

using namespace signalbox::load;

constexpr int kUsage = 2;

struct CommandLine {
    Options options;
    double seconds = 10;
    double timeout_seconds = 10;
    std::string url;
    std::string method;
    std::string body_file;
    std::string scenario;
    std::uint64_t seed = 1;
    bool json = false;
};

void add_options(CLI::App& app, CommandLine& line) {
    app.footer(
        "\nLatencies are those of successful requests, from the time each was due: with --rate, a request "
        "that had to wait\n"
        "for a free connection is as late as it is. A failed request is never tried again. An idle "
        "connection that the\n"
        "server closes is replaced and is no failure.\n"
        "\nTERM and INT end the load and print the summary; once more ends it at once.\n"
        "Exit status: 0 if every request succeeded, 1 if any failed, 2 for a wrong command line.");
    app.add_option("url", line.url, "http://host:port/path, or http+unix://%2Frun%2Fhello.sock/path")
        ->required();
    app.add_option("--rate", line.options.rate,
                   "Requests per second in all; 0: as fast as the connections can")
        ->check(CLI::Range(0.0, 1e6))
        ->capture_default_str();
    app.add_option("--connections", line.options.connections,
                   "Connections, and so the most requests under way")
        ->check(CLI::Range(1u, 60'000u))
        ->capture_default_str();
    app.add_option("--duration", line.seconds, "Seconds")
        ->check(CLI::Range(0.001, 1e7))
        ->capture_default_str();
    app.add_option("--timeout", line.timeout_seconds, "Seconds that a response may take")
        ->check(CLI::Range(0.001, 1e6))
        ->capture_default_str();
    app.add_flag("--new-connections", line.options.new_connections, "A new connection for every request");
    auto* method = app.add_option("--method", line.method, "GET, or POST with --body; or any other")
                       ->type_name("METHOD");
    auto* body = app.add_option("--body", line.body_file, "What to send in each request")
                     ->type_name("FILE")
                     ->check(CLI::ExistingFile);
    app.add_option("--scenario", line.scenario,
                   "mailroom: GET /hello and POST /classify with generated letters")
        ->check(CLI::IsMember({"mailroom"}))
        ->excludes(method)
        ->excludes(body);
    app.add_option("--seed", line.seed, "Of what the scenario generates")->capture_default_str();
    app.add_flag("--json", line.json, "The summary as JSON");
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::invalid_argument(fmt::format("--body: cannot read '{}'", path));
    return {std::istreambuf_iterator<char>(file), {}};
}

Scenario make_scenario(const CommandLine& line) {
    const bool keep_alive = !line.options.new_connections;
    if (line.scenario == "mailroom") return Scenario::mailroom(line.options.target, keep_alive, line.seed);
    const std::string body = line.body_file.empty() ? std::string{} : read_file(line.body_file);
    const std::string method = !line.method.empty() ? line.method : line.body_file.empty() ? "GET" : "POST";
    return Scenario::single(prepare(line.options.target, method, line.options.target.path, body, keep_alive));
}

class Interrupts {
public:
    Interrupts(boost::asio::io_context& io, Generator& generator)
        : signals_(io, SIGINT, SIGTERM), generator_(generator) {
        wait();
    }
    void cancel() { signals_.cancel(); }

private:
    void wait() {
        signals_.async_wait([this](const boost::system::error_code& error, int) {
            if (error) return;
            if (std::exchange(interrupted_, true)) return generator_.abort();
            wait();
            generator_.stop();
        });
    }

    boost::asio::signal_set signals_;
    Generator& generator_;
    bool interrupted_ = false;
};

int run(const CommandLine& line) {
    boost::asio::io_context io(1);
    std::optional<Interrupts> interrupts;
    Generator generator(io, line.options, make_scenario(line), [&interrupts] { interrupts->cancel(); });
    interrupts.emplace(io, generator);
    generator.start();
    io.run();
    const Report& report = generator.report();
    std::cout << (line.json ? report.to_json() : report.to_text()) << std::flush;
    return report.failed() == 0 ? 0 : 1;
}

std::chrono::nanoseconds nanoseconds(double seconds) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
}

}  // namespace

int main(int argc, char** argv) {
    CommandLine line;
    CLI::App app{"signalbox-load sends HTTP/1.1 requests at a rate and says what came of them.",
                 "signalbox-load"};
    add_options(app, line);
    try {
        app.parse(argc, argv);
        line.options.target = Target::parse(line.url);
        line.options.duration = nanoseconds(line.seconds);
        line.options.timeout = nanoseconds(line.timeout_seconds);
        return run(line);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kUsage;
    } catch (const std::exception& error) {
        std::cerr << "signalbox-load: " << error.what() << '\n';
        return kUsage;
    }
}
