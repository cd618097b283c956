#include "tests/bench/wrk.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "tests/bench/child.hpp"

namespace bench {

namespace {

[[noreturn]] void refuse(const std::string& report) {
    throw std::runtime_error("wrk did not go well:\n" + report);
}

/// The number behind `label`, with the unit of time that follows it, in milliseconds.
double milliseconds_behind(const std::string& report, const std::string& label) {
    const std::size_t at = report.find(label);
    if (at == std::string::npos) refuse(report);
    std::size_t used = 0;
    const std::string rest = report.substr(at + label.size());
    const double number = std::stod(rest, &used);
    const std::string unit = rest.substr(used, 2);
    return unit == "us"     ? number / 1000
           : unit == "ms"   ? number
           : unit[0] == 's' ? number * 1000
                            : number * 60'000;
}

}  // namespace

WrkResult parse_wrk(const std::string& report) {
    for (const char* failure : {"Socket errors", "Non-2xx", "unable to connect"})
        if (report.find(failure) != std::string::npos) refuse(report);
    const std::size_t requests = report.find(" requests in ");
    const std::size_t rate = report.find("Requests/sec:");
    if (requests == std::string::npos || rate == std::string::npos) refuse(report);
    WrkResult result;
    result.requests = std::stoull(report.substr(report.rfind('\n', requests) + 1));
    result.requests_per_second = std::stod(report.substr(rate + 13));
    result.p99_milliseconds = milliseconds_behind(report, " 99% ");
    return result;
}

WrkResult run_wrk(const std::string& url, unsigned seconds, const std::string& header) {
    const std::string headers = header.empty() ? "" : fmt::format("-H '{}' ", header);
    const std::string command = fmt::format("wrk -t1 -c64 -d{}s --latency {}{} 2>&1", seconds, headers, url);
    return parse_wrk(output_of(command));
}

}  // namespace bench
