#include "agent/supervisor/autoscale.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace signalbox::supervisor {
namespace {

constexpr double kSecond = 1e9;
/// The doubts about steps down are not doubled further: 32 times three minutes are an hour and a half.
constexpr unsigned kMostReluctance = 32;
/// What keeps the group from growing is said this often at most.
constexpr std::uint64_t kTellPeriod = 600'000'000'000;

std::uint64_t nanoseconds(std::chrono::nanoseconds duration) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
}

bool has_passed(const std::optional<std::uint64_t>& since, std::uint64_t now,
                std::chrono::nanoseconds length) {
    return since && now - *since >= nanoseconds(length);
}

/// Keeps the time since which `holds`.
void follow(std::optional<std::uint64_t>& since, bool holds, std::uint64_t now) {
    if (!holds)
        since.reset();
    else if (!since)
        since = now;
}

unsigned percent(double fraction) {
    return static_cast<unsigned>(std::lround(100 * fraction));
}

}  // namespace

void Autoscaler::somebody_scaled(std::uint64_t now) {
    scaled_by_somebody_ns_ = now;
    step_ = reluctance_ = 1;
    high_since_.reset();
    low_since_.reset();
    shrunk_ns_.reset();
}

/// The kernel counts in hundredths of a second: a single sample says little.
void Autoscaler::smooth(const LoadSample& sample) {
    // What a group does when it starts says little, too: it counts from nothing.
    const double passed = last_ns_ == 0 ? 0 : static_cast<double>(sample.now - last_ns_) / kSecond;
    busy_ += (1 - std::exp(-passed)) * (sample.busy - busy_);
    last_ns_ = sample.now;
}

std::optional<Autoscaler::Decision> Autoscaler::look(const LoadSample& sample, const ScalingGoals& goals) {
    smooth(sample);
    const std::uint64_t now = sample.now;
    if (scaled_by_somebody_ns_ && !has_passed(scaled_by_somebody_ns_, now, goals.hold)) return {};
    const unsigned least = std::clamp(goals.min, 1u, goals.max);
    if (sample.workers < least) return Decision{least, fmt::format("min_workers is {}", least)};
    // Those that are still starting will have their share of the load.
    if (sample.serving < sample.workers) return {};

    const bool waits = sample.wait_ns > nanoseconds(goals.queue_target);
    const bool high = waits || busy_ > kBusy;
    follow(high_since_, high, now);
    follow(calm_since_, !high, now);
    const double rest = std::max(1u, sample.workers - 1);
    const double busy_without_one = busy_ * sample.workers / rest;
    follow(low_since_, busy_without_one < kIdle && 2 * sample.wait_ns <= nanoseconds(goals.queue_target),
           now);

    if (has_passed(high_since_, now, goals.up_after))
        return grow(
            sample, goals,
            waits ? fmt::format("connections wait {} ms for a worker (autoscale_queue_target: {} ms)",
                                sample.wait_ns / 1'000'000, nanoseconds(goals.queue_target) / 1'000'000)
                  : fmt::format("the workers are {} % busy (target: {} %)", percent(busy_), percent(kBusy)));
    if (has_passed(calm_since_, now, 2 * goals.up_after)) step_ = 1;
    // The last step down was right after all.
    if (has_passed(shrunk_ns_, now, 2 * reluctance_ * goals.down_after))
        reluctance_ = std::max(1u, reluctance_ / 2);
    return sample.workers > least ? shrink(sample, goals) : std::nullopt;
}

std::optional<Autoscaler::Decision> Autoscaler::grow(const LoadSample& sample, const ScalingGoals& goals,
                                                     std::string reason) {
    const std::uint64_t now = sample.now;
    high_since_ = now;
    unsigned more = std::min({step_, sample.workers, goals.max - std::min(goals.max, sample.workers)});
    std::string obstacle = more == 0 ? fmt::format("max_workers is {}", goals.max) : std::string();
    const auto limit = static_cast<double>(goals.memory_limit);
    if (limit > 0 && more > 0) {
        const double each = static_cast<double>(sample.memory) / std::max(1u, sample.serving);
        const double room = kNearLimit * limit - static_cast<double>(sample.memory);
        more = room <= 0 || each <= 0 ? 0 : std::min(more, static_cast<unsigned>(std::min(room / each, 1e6)));
        if (more == 0)
            obstacle = fmt::format("the workers have {} MiB of the {} MiB of total_memory_limit",
                                   sample.memory >> 20, static_cast<std::uint64_t>(goals.memory_limit) >> 20);
    }
    if (more == 0) {
        if (told_of_limit_ns_ && now - *told_of_limit_ns_ < kTellPeriod) return {};
        told_of_limit_ns_ = now;
        return Decision{sample.workers, fmt::format("{}, but {}", reason, obstacle)};
    }
    // The worker that went was needed.
    if (shrunk_ns_ && now - *shrunk_ns_ < nanoseconds(reluctance_ * goals.down_after))
        reluctance_ = std::min(2 * reluctance_, kMostReluctance);
    shrunk_ns_.reset();
    step_ = std::min(2 * step_, goals.max);
    told_of_limit_ns_.reset();
    return Decision{sample.workers + more, std::move(reason)};
}

std::optional<Autoscaler::Decision> Autoscaler::shrink(const LoadSample& sample, const ScalingGoals& goals) {
    if (!has_passed(low_since_, sample.now, reluctance_ * goals.down_after)) return {};
    low_since_ = sample.now;
    shrunk_ns_ = sample.now;
    return Decision{sample.workers - 1,
                    fmt::format("the workers were less than {} % busy and nobody waited for {} s",
                                percent(kIdle), nanoseconds(reluctance_ * goals.down_after) / 1'000'000'000)};
}

bool MemoryGuard::wants_cycle(std::uint64_t now, std::uint64_t memory, Bytes limit, bool settled) {
    const auto most = static_cast<std::uint64_t>(limit);
    if (most == 0 || memory <= most) {
        if (now >= not_before_ns_) pause_ns_ = kFirstPause;
        return false;
    }
    if (!settled || now < not_before_ns_) return false;
    not_before_ns_ = now + pause_ns_;
    pause_ns_ = std::min(2 * pause_ns_, kLongestPause);
    return true;
}

}  // namespace signalbox::supervisor
