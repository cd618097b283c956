// What a load came to: how many requests, what failed and why, and how long the others took.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/sketch/exponential_histogram.hpp"

namespace signalbox::load {

/// Why a request counts as failed. None is ever tried again.
enum class Failure {
    refused,    ///< nobody listens there
    reset,      ///< the connection was reset
    closed,     ///< the connection was closed before the response was whole
    timeout,    ///< no whole response in time
    status,     ///< a response, but 4xx or 5xx
    malformed,  ///< what came is not HTTP
    other,      ///< see Report::last_other
};
inline constexpr std::size_t kFailureKinds = 7;
std::string_view to_string(Failure failure);

struct Report {
    std::uint64_t requests = 0;   ///< sent and over: answered or failed
    std::uint64_t succeeded = 0;  ///< answered with a status below 400
    std::array<std::uint64_t, kFailureKinds> failures{};
    std::string last_other;                 ///< the system's words for the last Failure::other
    std::map<int, std::uint64_t> statuses;  ///< how often each came
    std::uint64_t unsent = 0;               ///< due, but all connections were busy until the end
    std::uint64_t body_bytes = 0;           ///< received
    sketch::ExponentialHistogram latency;   ///< in seconds, of the requests that succeeded
    std::chrono::nanoseconds elapsed{0};

    std::uint64_t failed() const { return requests - succeeded; }
    std::uint64_t count(Failure failure) const { return failures[static_cast<std::size_t>(failure)]; }
    std::uint64_t status_class(int hundreds) const;
    double rate() const;  ///< requests per second

    std::string to_text() const;
    std::string to_json() const;
};

}  // namespace signalbox::load
