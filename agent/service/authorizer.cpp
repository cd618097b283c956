#include "agent/service/authorizer.hpp"

#include <unistd.h>

#include <algorithm>

namespace signalbox::service {
namespace {

struct Rule {
    std::string_view what;
    Role needed;
};

constexpr Rule kRules[] = {
    {"GET /", Role::viewer},
    {"GET /healthz", Role::viewer},
    {"GET /metrics", Role::viewer},
    {"GET /stream", Role::viewer},
    {"POST /rpc", Role::viewer},  // each method is decided upon once more
    {"telemetry.subscribe", Role::viewer},
    {"telemetry.unsubscribe", Role::viewer},
    {"workers.list", Role::viewer},
    {"connections", Role::viewer},
    {"listeners.list", Role::viewer},
    {"instruments.list", Role::viewer},
    {"events.list", Role::viewer},
    {"settings", Role::viewer},
    {"set", Role::viewer},  // each tunable says who may change it: decide_change()
    {"worker.cycle", Role::operator_},
    {"worker.keep", Role::operator_},
    {"group.cycle", Role::operator_},
    {"group.scale", Role::operator_},
    {"group.upgrade", Role::operator_},
};

/// A name that can be written to a terminal, a log or an event.
std::string printable(std::string name) {
    std::replace_if(
        name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; },
        '?');
    return name;
}

}  // namespace

std::optional<Principal> Authorizer::unix_peer(uid_t uid) const {
    if (uid != 0 && uid != ::geteuid()) return {};
    return Principal{"uid " + std::to_string(uid), Role::operator_};
}

Principal Authorizer::tls_peer(const std::string& common_name) const {
    const bool listed = std::find(operators_.begin(), operators_.end(), common_name) != operators_.end();
    return {printable(common_name), listed ? Role::operator_ : Role::viewer};
}

Decision Authorizer::decide(const Principal& principal, std::string_view what) const {
    const auto* rule = std::find_if(std::begin(kRules), std::end(kRules),
                                    [what](const Rule& candidate) { return candidate.what == what; });
    if (rule == std::end(kRules)) return Decision::unknown;
    return decide_change(principal, rule->needed);
}

Decision Authorizer::decide_change(const Principal& principal, Role needed) const {
    return needed == Role::viewer || principal.may_act() ? Decision::allowed : Decision::denied;
}

}  // namespace signalbox::service
