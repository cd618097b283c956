#include "agent/examples/load/report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace signalbox::load {

namespace {

struct Quantile {
    const char* name;
    double q;
};
constexpr std::array<Quantile, 4> kQuantiles = {
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}};

std::string readable(double seconds) {
    if (seconds < 1e-3) return fmt::format("{:.0f} µs", seconds * 1e6);
    if (seconds < 1) return fmt::format("{:.2f} ms", seconds * 1e3);
    return fmt::format("{:.2f} s", seconds);
}

}  // namespace

std::string_view to_string(Failure failure) {
    switch (failure) {
        case Failure::refused:
            return "connection refused";
        case Failure::reset:
            return "connection reset";
        case Failure::closed:
            return "closed before response";
        case Failure::timeout:
            return "timeout";
        case Failure::status:
            return "bad status";
        case Failure::malformed:
            return "malformed response";
        case Failure::other:
            return "other";
    }
    return "other";
}

std::uint64_t Report::status_class(int hundreds) const {
    std::uint64_t total = 0;
    for (const auto& [status, times] : statuses)
        if (status / 100 == hundreds) total += times;
    return total;
}

double Report::rate() const {
    const double seconds = std::chrono::duration<double>(elapsed).count();
    return seconds > 0 ? static_cast<double>(requests) / seconds : 0;
}

std::string Report::to_text() const {
    std::string text = fmt::format("requests   {} in {:.1f} s, {:.1f}/s\n", requests,
                                   std::chrono::duration<double>(elapsed).count(), rate());
    text += fmt::format("failed     {}", failed());
    for (std::size_t kind = 0; kind < kFailureKinds; ++kind)
        if (failures[kind] > 0)
            text += fmt::format("; {}: {}", to_string(static_cast<Failure>(kind)), failures[kind]);
    if (!last_other.empty()) text += fmt::format(" ({})", last_other);
    if (unsent > 0) text += fmt::format("\nunsent     {} (more connections would have been needed)", unsent);
    text += statuses.empty() ? "\nstatuses   none" : "\nstatuses  ";
    for (const auto& [status, times] : statuses)
        text += fmt::format(" {}: {}", status, times);
    text += latency.empty() ? "\nlatency    none" : "\nlatency   ";
    for (const auto& [name, q] : kQuantiles)
        if (const auto value = latency.quantile(q)) text += fmt::format(" {} {} ", name, readable(*value));
    if (const auto max = latency.max()) text += fmt::format(" max {}", readable(*max));
    return text + "\n";
}

std::string Report::to_json() const {
    nlohmann::json document = {{"requests", requests},
                               {"succeeded", succeeded},
                               {"failed", failed()},
                               {"unsent", unsent},
                               {"seconds", std::chrono::duration<double>(elapsed).count()},
                               {"rate", rate()},
                               {"body_bytes", body_bytes},
                               {"failures", nlohmann::json::object()},
                               {"statuses", nlohmann::json::object()},
                               {"status_classes", nlohmann::json::object()},
                               {"latency_seconds", nlohmann::json::object()}};
    for (std::size_t kind = 0; kind < kFailureKinds; ++kind)
        document["failures"][std::string(to_string(static_cast<Failure>(kind)))] = failures[kind];
    for (const auto& [status, times] : statuses)
        document["statuses"][std::to_string(status)] = times;
    for (int hundreds = 1; hundreds <= 5; ++hundreds)
        document["status_classes"][fmt::format("{}xx", hundreds)] = status_class(hundreds);
    for (const auto& [name, q] : kQuantiles)
        if (const auto value = latency.quantile(q)) document["latency_seconds"][name] = *value;
    if (const auto max = latency.max()) document["latency_seconds"]["max"] = *max;
    if (!last_other.empty()) document["last_other"] = last_other;
    return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace signalbox::load
