// Waiting ever longer for what keeps failing.
//
//     if (failed) retry_at = now + back_off.failed(spread(seed, ++attempt), 60s);
//     else back_off.succeeded();
#pragma once

#include <algorithm>
#include <chrono>

namespace signalbox::supervisor {

class BackOff {
public:
    explicit BackOff(std::chrono::nanoseconds first) : first_(first) {}

    /// How long to wait after one more failure: `first`, twice that, … up to `longest`, of which `jitter` (0 … 1)
    /// chooses between the half and the whole.
    std::chrono::nanoseconds failed(double jitter, std::chrono::nanoseconds longest) {
        const auto whole = std::min(first_ * (std::int64_t{1} << std::min(failures_, 30u)), longest);
        ++failures_;
        return std::chrono::nanoseconds(
            static_cast<std::int64_t>(static_cast<double>(whole.count()) * (0.5 + jitter / 2)));
    }
    void succeeded() { failures_ = 0; }
    /// In a row.
    unsigned failures() const { return failures_; }

private:
    std::chrono::nanoseconds first_;
    unsigned failures_ = 0;
};

}  // namespace signalbox::supervisor
