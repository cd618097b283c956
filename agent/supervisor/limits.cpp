#include "agent/supervisor/limits.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace signalbox::supervisor {
namespace {

constexpr std::uint64_t kMinute = 60'000'000'000;

/// "10,007"
std::string grouped(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t end = digits.size(); end > 3; end -= 3)
        digits.insert(end - 3, ",");
    return digits;
}

/// With a worker's own share of up to a tenth more; 0 stays 0.
std::uint64_t own(std::int64_t limit, double jitter) {
    return static_cast<std::uint64_t>(static_cast<double>(limit) * (1 + jitter / 10));
}

}  // namespace

unsigned LateTurns::recent(std::uint64_t now) const {
    return static_cast<unsigned>(std::count_if(times_.begin(), times_.end(), [now](std::uint64_t time) {
        return time != 0 && now - time < kMinute;
    }));
}

std::optional<Breach> find_breach(const Limits& limits, const Vitals& vitals) {
    const auto memory = static_cast<std::uint64_t>(limits.memory.get());
    if (memory > 0 && vitals.resident_bytes > memory)
        return Breach{"memory_limit", "worker_memory_limit",
                      fmt::format("{} MiB of memory, limit {} MiB", grouped(vitals.resident_bytes >> 20),
                                  grouped(memory >> 20)),
                      true};
    const auto files = static_cast<std::uint64_t>(limits.open_files.get());
    if (files > 0 && vitals.open_files > files)
        return Breach{"open_files_limit", "worker_open_files_limit",
                      fmt::format("{} open files, limit {}", grouped(vitals.open_files), grouped(files)),
                      true};
    const auto requests = own(limits.requests.get(), vitals.jitter);
    if (requests > 0 && vitals.requests > requests)
        return Breach{"request_limit", "worker_request_limit",
                      fmt::format("{} requests, limit {}", grouped(vitals.requests), grouped(requests)),
                      false};
    const auto age = own(limits.age.get().count(), vitals.jitter);
    if (age > 0 && static_cast<std::uint64_t>(vitals.age.count()) > age)
        return Breach{"age_limit", "worker_age_limit",
                      fmt::format("{} s old, limit {} s",
                                  grouped(static_cast<std::uint64_t>(vitals.age.count())), grouped(age)),
                      false};
    const auto lag = limits.lag.get();
    if (lag.count() > 0 && vitals.late_turns >= kLateTurns)
        return Breach{"lag_limit", "worker_lag_limit",
                      fmt::format("its event loop was more than {} ms late {} times within a minute",
                                  lag.count(), kLateTurns),
                      true};
    return {};
}

}  // namespace signalbox::supervisor
