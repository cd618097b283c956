// What faults cost: how soon a wedged worker is found, beside what is promised (wedge_timeout and 250 ms), and how late others
// are served while thousands of slow clients take every descriptor, beside the same load alone (promised: at most twice that).
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/view.hpp"
#include "tests/bench/bench.hpp"
#include "tests/bench/child.hpp"
#include "tests/bench/temporary_directory.hpp"

namespace {

using namespace std::chrono_literals;
using namespace signalbox;
using Clock = std::chrono::steady_clock;

constexpr unsigned kWorkers = 2;
constexpr std::chrono::nanoseconds kWedgeTimeout = 1s;
constexpr double kPromisedMilliseconds = 250;
constexpr unsigned kSlowClients = 2'000;
constexpr unsigned kDescriptors = 512;  ///< of each worker: half of the slow clients have a place

void wait_for(const char* what, const std::function<bool()>& condition) {
    const auto deadline = Clock::now() + 60s;
    while (!condition()) {
        if (Clock::now() > deadline) throw std::runtime_error(fmt::format("within 60 s not: {}", what));
        std::this_thread::sleep_for(1ms);
    }
}

std::filesystem::path program(const char* name) {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

class Group {
public:
    Group()
        : server_({"prlimit", fmt::format("--nofile={}", kDescriptors), program("mailroom"), "--listen",
                   "127.0.0.1:0", "--workers", std::to_string(kWorkers), "--agent",
                   directory_.path() / "agent.sock", "--segment", directory_.path() / "segment", "--quiet",
                   "--allow-misbehaviour"}),
          url_("http://" + server_.read_line().substr(std::string("listening on ").size())),
          view_((directory_.path() / "segment").string()) {
        wait_until_ready();
        bench::output_of(fmt::format("{} unix:{} set wedge_timeout {}ms", program("signalboxctl").string(),
                                     (directory_.path() / "agent.sock").string(), kWedgeTimeout / 1ms));
    }

    const std::string& url() const { return url_; }

    void wait_until_ready() const {
        wait_for("all workers are ready", [&] {
            const auto workers = view_.workers();
            return workers.size() == kWorkers &&
                   std::all_of(workers.begin(), workers.end(),
                               [](const auto& worker) { return worker.state == wire::WorkerState::ready; });
        });
    }
    /// And since when it is; pid 0: none is.
    std::pair<wire::Worker, std::uint64_t> misbehaving() const {
        const std::uint64_t now = telemetry::monotonic_ns();
        for (const wire::Worker& worker : view_.workers())
            if (worker.activity.find("/misbehave") != std::string::npos)
                return {worker, now - static_cast<std::uint64_t>(worker.activity_age.count())};
        return {};
    }
    /// When the arbiter said so; 0: it has not.
    std::uint64_t found_wedged(std::uint32_t pid) const {
        std::vector<telemetry::RawEvent> events;
        std::uint64_t next = 0;
        view_.read_group_events(next, events);
        for (const auto& event : events)
            if (event.name == "worker_wedged" && event.pid == pid) return event.monotonic_ns;
        return 0;
    }
    std::uint64_t accepted() const {
        std::uint64_t accepted = 0;
        for (const wire::Worker& worker : view_.workers())
            for (const wire::AcceptQueue& queue : worker.queues)
                accepted += queue.accepted;
        return accepted;
    }

private:
    bench::TemporaryDirectory directory_;
    bench::Child server_;
    std::string url_;
    telemetry::SegmentView view_;
};

/// Beyond wedge_timeout.
double milliseconds_to_find(const Group& group, const char* how, bool stopped) {
    group.wait_until_ready();
    bench::Child client({"curl", "-s", "-X", "POST", group.url() + "/misbehave/" + how});
    wait_for("a worker misbehaves", [&] { return group.misbehaving().first.pid != 0; });
    auto [victim, since] = group.misbehaving();
    if (stopped) {
        since = telemetry::monotonic_ns();
        ::kill(static_cast<pid_t>(victim.pid), SIGSTOP);
    }
    std::uint64_t found = 0;
    wait_for("it is found wedged", [&, pid = victim.pid] { return (found = group.found_wedged(pid)) != 0; });
    return static_cast<double>(found - since - static_cast<std::uint64_t>(kWedgeTimeout.count())) / 1e6;
}

/// Of one request in ten milliseconds, each on a connection of its own. Throws when any fails.
double p99_milliseconds(const Group& group) {
    const std::string report =
        bench::output_of(fmt::format("{} {}/hello --json --rate 100 --new-connections --duration 5",
                                     program("signalbox-load").string(), group.url()));
    return nlohmann::json::parse(report).at("latency_seconds").at("p99").get<double>() * 1e3;
}

double p99_beside_slow_clients() {
    const Group group;
    const bench::Child slow({"slowhttptest", "-H", "-v", "0", "-c", std::to_string(kSlowClients), "-r", "400",
                             "-i", "2", "-l", "300", "-u", group.url() + "/hello"});
    wait_for("the slow clients have connected", [&] { return group.accepted() >= kSlowClients; });
    return p99_milliseconds(group);
}

}  // namespace

int main(int argc, char** argv) {
    bench::Suite suite("faults", argc, argv, 5);
    {
        const Group group;
        const auto find = [&](const char* name, const char* how, bool stopped) {
            suite.compare(
                name, "ms", "the promise", [&] { return milliseconds_to_find(group, how, stopped); },
                [] { return kPromisedMilliseconds; });
        };
        find("wedge_found_spin", "spin?seconds=3000", false);
        find("wedge_found_deadlock", "deadlock", false);
        find("wedge_found_stop", "spin?seconds=3000", true);
    }
    suite.compare(
        "slowloris_p99", "ms", "without slow clients", [] { return p99_beside_slow_clients(); },
        [] { return p99_milliseconds(Group()); });
    return suite.finish();
}
