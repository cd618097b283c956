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

/// 64 connections from one thread, kept alive unless `header` is "Connection: close". Throws std::runtime_error if wrk is missing or any request
/// failed.
WrkResult run_wrk(const std::string& url, unsigned seconds, const std::string& header = {});
/// wrk's report, read. Throws as above.
WrkResult parse_wrk(const std::string& report);

}  // namespace bench
