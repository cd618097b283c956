// New connections at a fixed rate, whatever becomes of those before: one process, one epoll.
//
// Each sends one request and waits for the first bytes of the answer, which say whether it is served. A client that
// waits for answers before it goes on hides how long the others would have waited; this one does not.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

struct Attempt {
    enum class End { served, refused, hung };
    Clock::time_point began;  ///< before connect()
    std::chrono::nanoseconds took{};
    End end = End::hung;
};

struct OpenLoop {
    std::uint16_t port = 0;
    std::string request;
    double rate = 500;  ///< connections a second
    std::chrono::milliseconds duration{5'000};
    /// From the end of the load on: who knows nothing by then hangs.
    std::chrono::milliseconds patience{10'000};

    /// All attempts, in the order of their beginning. Throws std::system_error when this machine gives no socket.
    std::vector<Attempt> run() const;
};

/// One connection and one request, from connect() to the first bytes of the answer or a refusal.
Attempt attempt(std::uint16_t port, const std::string& request, std::chrono::milliseconds patience);

/// The quantile (0 … 1) of what those took that ended so, in milliseconds; 0 if there are none.
double milliseconds(const std::vector<Attempt>& attempts, Attempt::End end, double quantile);

}  // namespace bench
