#include "agent/supervisor/scaling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "agent/supervisor/process.hpp"
#include "agent/telemetry/settings.hpp"

namespace signalbox::supervisor {
namespace {

constexpr std::uint64_t kPeriod = 250'000'000;
/// Counting what is shared once makes the kernel walk all page tables of a process: milliseconds for gigabytes.
constexpr std::uint64_t kMeasurePeriod = 2'000'000'000;

}  // namespace

Scaling::Scaling(telemetry::Segment& segment, const Journal& journal, Roster& roster, unsigned max_workers,
                 ScalingConfig config)
    : segment_(segment), journal_(journal), roster_(roster), max_workers_(max_workers), config_(config) {}

void Scaling::look(std::uint64_t now) {
    if (now < next_look_ns_) return;
    next_look_ns_ = now + kPeriod;
    const bool limited = config_.memory_limit.get() != Bytes{0};
    if (!config_.on.get() && !limited) {
        processor_times_.clear();
        return;
    }
    const LoadSample load = sample(now);
    if (limited) guard_memory(now, load.memory);
    if (config_.on.get()) scale(load);
}

LoadSample Scaling::sample(std::uint64_t now) {
    LoadSample load;
    load.now = now;
    load.workers = roster_.target();
    load.serving = roster_.serving();
    load.busy = busy_since_last(now);
    load.wait_ns = wait_of_half(now);
    load.memory = measure_memory(now);
    return load;
}

double Scaling::busy_since_last(std::uint64_t now) {
    std::map<pid_t, std::chrono::nanoseconds> times;
    double used = 0;
    unsigned workers = 0;
    roster_.for_each_serving([&](pid_t pid, unsigned) {
        const std::chrono::nanoseconds time = processor_time(pid);
        times[pid] = time;
        const auto before = processor_times_.find(pid);
        if (before == processor_times_.end()) return;
        used += static_cast<double>((time - before->second).count());
        ++workers;
    });
    const double passed = static_cast<double>(now - last_look_ns_);
    processor_times_ = std::move(times);
    last_look_ns_ = now;
    return workers == 0 || passed <= 0 ? 0 : std::clamp(used / passed / workers, 0.0, 1.0);
}

/// A single worker that is stuck says nothing about the load.
std::uint64_t Scaling::wait_of_half(std::uint64_t now) const {
    std::vector<std::uint64_t> waits;
    roster_.for_each_serving([&](pid_t, unsigned seat) {
        std::uint64_t longest = 0;
        for (const telemetry::QueueRecord& queue : segment_.seat(seat)->queues) {
            const std::uint64_t oldest = queue.oldest_monotonic_ns.load(std::memory_order_relaxed);
            if (oldest != 0 && now > oldest) longest = std::max(longest, now - oldest);
        }
        waits.push_back(longest);
    });
    if (waits.empty()) return 0;
    const auto middle = waits.begin() + static_cast<std::ptrdiff_t>((waits.size() - 1) / 2);
    std::nth_element(waits.begin(), middle, waits.end());
    return *middle;
}

/// What is resident is more than what is used, as it counts shared pages in each: where that is within the limit, nothing
/// dearer is needed.
std::uint64_t Scaling::measure_memory(std::uint64_t now) {
    std::uint64_t resident = 0;
    std::vector<pid_t> workers;
    roster_.for_each_serving([&](pid_t pid, unsigned seat) {
        resident += segment_.seat(seat)->resident_bytes.load(std::memory_order_relaxed);
        workers.push_back(pid);
    });
    const auto limit = static_cast<double>(config_.memory_limit.get());
    if (limit == 0 || static_cast<double>(resident) < limit / 2) return resident;
    if (now - measured_ns_ < kMeasurePeriod) return std::min(resident, shared_once_);
    measured_ns_ = now;
    shared_once_ = 0;
    for (const pid_t pid : workers)
        shared_once_ += proportional_bytes(pid);
    return std::min(resident, shared_once_);
}

void Scaling::guard_memory(std::uint64_t now, std::uint64_t memory) {
    if (!guard_.wants_cycle(now, memory, config_.memory_limit.get(), roster_.settled())) return;
    const auto limit = static_cast<std::uint64_t>(config_.memory_limit.get());
    const std::string reason =
        fmt::format("the workers together have {} MiB of memory, limit {} MiB (total_memory_limit)",
                    memory >> 20, limit >> 20);
    const Roster::Verdict verdict = roster_.cycle_largest(reason);
    journal_.say(wire::Severity::warning, "total_memory_limit",
                 fmt::format("The largest worker is cycled: {}. {}", reason, verdict.text));
}

void Scaling::scale(const LoadSample& load) {
    const auto min = static_cast<unsigned>(std::clamp<std::int64_t>(config_.min.get(), 1, max_workers_));
    const std::optional<Autoscaler::Decision> decision =
        scaler_.look(load, {.min = min,
                            .max = max_workers_,
                            .queue_target = config_.queue_target.get(),
                            .up_after = config_.up_after.get(),
                            .down_after = config_.down_after.get(),
                            .hold = config_.hold.get(),
                            .memory_limit = config_.memory_limit.get()});
    if (!decision) return;
    if (decision->workers == load.workers) {
        journal_.say(wire::Severity::warning, "autoscale_at_limit",
                     fmt::format("The group stays at {} workers: {}.", load.workers, decision->reason));
        return;
    }
    if (roster_.scale(decision->workers, "autoscaling: " + decision->reason).refusal == Roster::Refusal::none)
        telemetry::note_setting(segment_, "workers", std::to_string(roster_.target()), "autoscaling");
}

}  // namespace signalbox::supervisor
