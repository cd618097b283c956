// How long a slot is without a ready worker after its worker was killed, beside the limit that is promised: 100 ms.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <thread>

#include "agent/telemetry/view.hpp"
#include "tests/bench/bench.hpp"
#include "tests/bench/child.hpp"
#include "tests/bench/temporary_directory.hpp"

namespace {

using namespace std::chrono_literals;
using namespace signalbox;
using Clock = std::chrono::steady_clock;

constexpr unsigned kWorkers = 4;
constexpr double kLimitMilliseconds = 100;

void wait_for(const std::function<bool()>& condition) {
    const auto deadline = Clock::now() + 10s;
    while (!condition()) {
        if (Clock::now() > deadline) throw std::runtime_error("a worker was not ready within 10 s");
        std::this_thread::sleep_for(100us);
    }
}

bool all_ready(const std::vector<wire::Worker>& workers) {
    return workers.size() == kWorkers &&
           std::all_of(workers.begin(), workers.end(),
                       [](const wire::Worker& worker) { return worker.state == wire::WorkerState::ready; });
}

double milliseconds_to_replace(const telemetry::SegmentView& view, const wire::Worker& victim) {
    const auto start = Clock::now();
    ::kill(static_cast<pid_t>(victim.pid), SIGKILL);
    wait_for([&] {
        const auto workers = view.workers();
        return std::any_of(workers.begin(), workers.end(), [&](const wire::Worker& worker) {
            return worker.slot == victim.slot && worker.generation > victim.generation &&
                   worker.state == wire::WorkerState::ready;
        });
    });
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
    bench::Suite suite("replace", argc, argv, 200);
    const bench::TemporaryDirectory directory;
    const std::filesystem::path program =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mailroom";
    bench::Child group({program, "--listen", "127.0.0.1:0", "--workers", std::to_string(kWorkers), "--agent",
                        directory.path() / "agent.sock", "--segment", directory.path() / "segment",
                        "--quiet"});
    group.read_line();
    const telemetry::SegmentView view((directory.path() / "segment").string());
    unsigned turn = 0;
    suite.compare(
        "replace_killed_worker", "ms", "the promise",
        [&] {
            wait_for([&] { return all_ready(view.workers()); });
            return milliseconds_to_replace(view, view.workers()[turn++ % kWorkers]);
        },
        [] { return kLimitMilliseconds; });
    return suite.finish();
}
