#include "tests/bench/s_time.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "tests/bench/child.hpp"

namespace bench {

/// "850 connections in 4 real seconds, 0 bytes read per connection"
std::uint64_t parse_s_time(const std::string& report) {
    const std::size_t at = report.find(" connections in ");
    if (at == std::string::npos || report.find("bytes read per connection") == std::string::npos ||
        report.find(", 0 bytes read") != std::string::npos)
        throw std::runtime_error("openssl s_time did not go well:\n" + report);
    return std::stoull(report.substr(report.rfind('\n', at) + 1));
}

std::uint64_t run_s_time(unsigned short port, unsigned seconds) {
    return parse_s_time(output_of(
        fmt::format("openssl s_time -connect 127.0.0.1:{} -new -www /hello -time {} 2>&1", port, seconds)));
}

}  // namespace bench
