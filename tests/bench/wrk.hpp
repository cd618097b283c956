// wrk, the load generator, run once.
#pragma once

#include <cstdint>
#include <string>

namespace bench {

struct WrkResult {
    double requests_per_second = 0;
    double p99_milliseconds = 0;
    std::uint64_t requests = 0;
};

/// 64 keep-alive connections from one thread. Throws std::runtime_error if wrk is missing or any request
/// failed.
WrkResult run_wrk(const std::string& url, unsigned seconds);
/// wrk's report, read. Throws as above.
WrkResult parse_wrk(const std::string& report);

}  // namespace bench
