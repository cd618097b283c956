// Scales the group by itself, and keeps its memory within bounds: looks at the workers, asks the policies of autoscale.hpp,
// and does what they say.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>

#include "agent/supervisor/autoscale.hpp"
#include "agent/supervisor/roster.hpp"
#include "signalbox/context.hpp"

namespace signalbox::supervisor {

/// The group's settings of these names: autoscale, min_workers, autoscale_queue_target and so on, total_memory_limit.
struct ScalingConfig {
    Tunable<bool> on{false};
    Tunable<std::int64_t> min{1};
    Tunable<std::chrono::milliseconds> queue_target{std::chrono::milliseconds(50)};
    Tunable<std::chrono::milliseconds> up_after{std::chrono::milliseconds(1'000)};
    Tunable<std::chrono::milliseconds> down_after{std::chrono::milliseconds(180'000)};
    Tunable<std::chrono::milliseconds> hold{std::chrono::milliseconds(600'000)};
    Tunable<Bytes> memory_limit{Bytes{0}};
};

class Scaling {
public:
    Scaling(telemetry::Segment& segment, const Journal& journal, Roster& roster, unsigned max_workers,
            ScalingConfig config);

    /// At every turn of the arbiter's loop; looks four times a second.
    void look(std::uint64_t now);
    void somebody_scaled(std::uint64_t now) { scaler_.somebody_scaled(now); }

private:
    LoadSample sample(std::uint64_t now);
    double busy_since_last(std::uint64_t now);
    std::uint64_t wait_of_half(std::uint64_t now) const;
    std::uint64_t measure_memory(std::uint64_t now);
    void scale(const LoadSample& sample);
    void guard_memory(std::uint64_t now, std::uint64_t memory);

    telemetry::Segment& segment_;
    const Journal& journal_;
    Roster& roster_;
    unsigned max_workers_;
    ScalingConfig config_;
    Autoscaler scaler_;
    MemoryGuard guard_;
    std::uint64_t next_look_ns_ = 0;
    std::uint64_t last_look_ns_ = 0;
    std::map<pid_t, std::chrono::nanoseconds> processor_times_;
    std::uint64_t shared_once_ = 0;  ///< the sum when it was last measured in full
    std::uint64_t measured_ns_ = 0;
};

}  // namespace signalbox::supervisor
