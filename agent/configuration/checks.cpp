#include "agent/configuration/checks.hpp"

#include <fmt/format.h>

#include <charconv>

#include "agent/telemetry/layout.hpp"

namespace signalbox::configuration {

std::optional<mode_t> parse_umask(std::string_view octal) {
    unsigned mask = 0;
    const auto [end, error] = std::from_chars(octal.data(), octal.data() + octal.size(), mask, 8);
    if (error != std::errc() || end != octal.data() + octal.size() || mask > 0777) return std::nullopt;
    return static_cast<mode_t>(mask);
}

std::vector<Problem> problems_of(const GroupOptions& options) {
    std::vector<Problem> problems;
    if (options.workers < 1 || options.workers > options.max_workers)
        problems.push_back(
            {"workers",
             fmt::format("{} is not between 1 and max_workers ({})", options.workers, options.max_workers),
             "max_workers"});
    if (options.max_workers > telemetry::kMaxSlots)
        problems.push_back(
            {"max_workers", fmt::format("{} is more than {}", options.max_workers, telemetry::kMaxSlots)});
    if (options.min_workers < 1 || options.min_workers > options.max_workers)
        problems.push_back({"min_workers",
                            fmt::format("{} is not between 1 and max_workers ({})", options.min_workers,
                                        options.max_workers),
                            "max_workers"});
    if (options.anonymous_segment && !options.segment_path.empty())
        problems.push_back({"segment_path", "it and anonymous_segment exclude each other: give one of them",
                            "anonymous_segment"});
    if (options.user.empty() && !options.user_group.empty())
        problems.push_back({"user_group", fmt::format("'{}' needs a user as well", options.user_group)});
    if (!options.umask.empty() && !parse_umask(options.umask))
        problems.push_back(
            {"umask", fmt::format("'{}' is none: give up to four octal digits, such as 027", options.umask)});
    const AgentTls& tls = options.agent_tls;
    if (tls.address.empty() && !(tls.certificate.empty() && tls.key.empty() && tls.client_authority.empty()))
        problems.push_back({"agent_tls.address", "it is missing: say where, for example '0.0.0.0:9443'"});
    if (tls.address.empty()) return problems;
    if (options.agent_socket.empty())
        problems.push_back(
            {"agent_tls.address",
             "it needs agent_socket as well: the unix socket is how the host itself looks in"});
    const auto need = [&](const char* setting, const std::string& file) {
        if (file.empty()) problems.push_back({setting, "agent_tls needs it: name a PEM file"});
    };
    need("agent_tls.certificate", tls.certificate);
    need("agent_tls.key", tls.key);
    need("agent_tls.client_authority", tls.client_authority);
    return problems;
}

std::vector<Problem> problems_of(const ConfiguredListener& listener) {
    std::vector<Problem> problems;
    if (listener.address.empty())
        problems.push_back({"address", "it is missing: say where to listen, for example '*:8080'"});
    const ListenerOptions& options = listener.options;
    if (options.tls) {
        const auto need = [&](const char* setting, const std::string& file) {
            if (file.empty()) problems.push_back({setting, "TLS needs it: name a PEM file"});
        };
        need("tls.certificate", options.tls->certificate);
        need("tls.key", options.tls->key);
        if (options.tls->client_certificates != ClientCertificates::none)
            need("tls.client_authority", options.tls->client_authority);
    }
    if (options.proxy && options.proxy->trusted.empty())
        problems.push_back({"proxy.trusted", "it is empty: name the proxies, for example '10.0.0.0/8'"});
    return problems;
}

}  // namespace signalbox::configuration
