#include "agent/thorough_checks.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <exception>
#include <filesystem>

#include "agent/server/address.hpp"
#include "agent/server/transport/tls_context.hpp"
#include "agent/server/transport/trusted_peers.hpp"
#include "agent/service/service.hpp"
#include "agent/supervisor/privileges.hpp"

namespace signalbox {
namespace {

class Problems {
public:
    explicit Problems(const configuration::Composed& composed) : composed_(composed) {}

    void look(const std::string& setting, const configuration::Chosen& chosen, const std::string& name,
              const std::function<void()>& at) {
        try {
            at();
        } catch (const std::exception& error) {
            const auto found = chosen.find(setting);
            const std::string place = found == chosen.end() ? std::string() : found->second.place + ": ";
            const std::string why = error.what();
            found_.push_back(why.starts_with(name + ':') ? place + why
                                                         : fmt::format("{}{}: {}", place, name, why));
        }
    }
    void look(const std::string& setting, const std::function<void()>& at) {
        look(setting, composed_.chosen, setting, at);
    }
    /// Whether a file can be made there.
    void look_for_directory(const std::string& setting, const std::string& file) {
        if (file.empty()) return;
        look(setting, [&] {
            const auto directory = std::filesystem::absolute(file).parent_path();
            if (!std::filesystem::is_directory(directory))
                throw std::runtime_error(
                    fmt::format("'{}': there is no directory {}; make it, or name another file", file,
                                directory.string()));
        });
    }
    std::vector<std::string> take() { return std::move(found_); }

private:
    const configuration::Composed& composed_;
    std::vector<std::string> found_;
};

void look_at(const configuration::ComposedListener& composed, Problems& problems) {
    const ConfiguredListener& listener = composed.listener;
    const auto look = [&](const std::string& setting, const std::function<void()>& at) {
        problems.look(setting, composed.chosen, fmt::format("listeners.{}.{}", listener.name, setting), at);
    };
    look("address", [&] { server::parse_address(listener.address); });
    const auto& tls = listener.options.tls;
    if (tls && !tls->certificate.empty() && !tls->key.empty())
        look("tls.certificate", [&] { server::check_tls_options(*tls); });
    if (listener.options.proxy)
        look("proxy.trusted", [&] { server::TrustedPeers(listener.options.proxy->trusted); });
}

}  // namespace

std::vector<std::string> problems_outside(const configuration::Composed& composed) {
    Problems problems(composed);
    const GroupOptions& group = composed.group;
    for (const auto& listener : composed.listeners)
        look_at(listener, problems);
    problems.look("user", [&] { supervisor::check_account(group.user, group.user_group); });
    if (!group.agent_tls.address.empty() && !group.agent_tls.certificate.empty()) {
        problems.look("agent_tls.address", [&] { server::parse_address(group.agent_tls.address); });
        problems.look("agent_tls.certificate", [&] { service::check_tls(group.agent_tls); });
    }
    problems.look_for_directory("segment_path", group.segment_path);
    problems.look_for_directory("pid_file", group.pid_file);
    problems.look_for_directory("agent_socket", group.agent_socket);
    return problems.take();
}

}  // namespace signalbox
