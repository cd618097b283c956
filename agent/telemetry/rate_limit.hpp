// How often something may be said.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace signalbox::telemetry {

/// So many times within any minute. Times are CLOCK_MONOTONIC nanoseconds.
template <std::size_t most>
class PerMinute {
public:
    /// Whether it may be said now; if not, that is counted.
    bool allows(std::uint64_t now) {
        constexpr std::uint64_t kMinute = 60'000'000'000;
        std::uint64_t& oldest = said_[next_ % most];
        if (oldest != 0 && now - oldest < kMinute) {
            ++suppressed_;
            return false;
        }
        oldest = now;
        ++next_;
        return true;
    }
    /// How often it was not said since this was last asked.
    unsigned take_suppressed() { return std::exchange(suppressed_, 0); }

private:
    std::array<std::uint64_t, most> said_{};
    unsigned next_ = 0;
    unsigned suppressed_ = 0;
};

}  // namespace signalbox::telemetry
