// How many workers the load wants. Decisions only: fed with samples and the time, it looks at nothing itself.
//
//     Autoscaler scaler;
//     if (const auto decision = scaler.look(sample, goals)) scale(decision->workers, decision->reason);
//
// Up fast: when connections wait too long for a worker, or the workers are busier than kBusy, for `up_after`; by one
// worker, then by two, four and so on while that goes on, at most doubling the group. Down slowly: by one, when for all of
// `down_after` the rest would have been less busy than kIdle and nobody waited. As kIdle is well below kBusy, a constant
// load that shows in the processors settles. One that does not show there (handlers that block) may need the worker that
// has just gone: each time that turns out soon, the next step down takes twice as long.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "signalbox/bytes.hpp"

namespace signalbox::supervisor {

/// All workers together, at one time.
struct LoadSample {
    std::uint64_t now = 0;      ///< CLOCK_MONOTONIC ns
    unsigned workers = 0;       ///< how many there have to be
    unsigned serving = 0;       ///< how many there are
    std::uint64_t wait_ns = 0;  ///< how long a connection waits that half of the workers or more keep waiting
    double busy = 0;            ///< processor time since the sample before; 1: each worker a whole processor
    std::uint64_t memory = 0;   ///< bytes; what they share counted once
};

struct ScalingGoals {
    unsigned min = 1;
    unsigned max = 64;
    std::chrono::nanoseconds queue_target{50'000'000};
    std::chrono::nanoseconds up_after{1'000'000'000};
    std::chrono::nanoseconds down_after{180'000'000'000};
    std::chrono::nanoseconds hold{600'000'000'000};  ///< after somebody has scaled
    Bytes memory_limit{0};                           ///< 0: none
};

class Autoscaler {
public:
    static constexpr double kBusy = 0.8;
    static constexpr double kIdle = 0.5;
    static constexpr double kNearLimit = 0.9;  ///< of the memory

    struct Decision {
        unsigned workers;    ///< as many as before: what the load wants cannot be
        std::string reason;  ///< "connections wait 120 ms for a worker (target 50 ms)"
    };

    /// A few times a second. Nothing: all is as it should be, or it is not yet clear.
    std::optional<Decision> look(const LoadSample& sample, const ScalingGoals& goals);
    /// Somebody has scaled: nothing happens for `goals.hold`.
    void somebody_scaled(std::uint64_t now);

private:
    std::optional<Decision> grow(const LoadSample& sample, const ScalingGoals& goals, std::string reason);
    std::optional<Decision> shrink(const LoadSample& sample, const ScalingGoals& goals);
    void smooth(const LoadSample& sample);

    std::optional<std::uint64_t> scaled_by_somebody_ns_;
    std::uint64_t last_ns_ = 0;
    double busy_ = 0;                          ///< over about a second
    std::optional<std::uint64_t> high_since_;  ///< too much load
    std::optional<std::uint64_t> low_since_;   ///< little
    std::optional<std::uint64_t> calm_since_;  ///< not too much
    std::optional<std::uint64_t> shrunk_ns_;   ///< when the last worker went
    unsigned step_ = 1;
    unsigned reluctance_ = 1;  ///< times `down_after`
    std::optional<std::uint64_t> told_of_limit_ns_;
};

/// When the workers together have too much memory: whether it is time to cycle the largest one. One at a time; if that
/// does not help, after ever longer pauses.
class MemoryGuard {
public:
    /// `settled`: no cycle is under way.
    bool wants_cycle(std::uint64_t now, std::uint64_t memory, Bytes limit, bool settled);

private:
    std::uint64_t not_before_ns_ = 0;
    std::uint64_t pause_ns_ = kFirstPause;
    static constexpr std::uint64_t kFirstPause = 10'000'000'000;
    static constexpr std::uint64_t kLongestPause = 600'000'000'000;
};

}  // namespace signalbox::supervisor
