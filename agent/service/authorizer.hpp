// The one place that decides who may do what. It denies by default: what is not in its table is not done.
//
//     Authorizer authorizer({"alice"});
//     switch (authorizer.decide(principal, "worker.cycle")) { ... }
//     switch (authorizer.decide(principal, "GET /metrics")) { ... }
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "signalbox/detail/tunable.hpp"

namespace signalbox::service {

/// Who is at the other end of a connection.
struct Principal {
    std::string name;  ///< "uid 0", or the subject common name of the client's certificate; printable
    Role role = Role::viewer;
    bool may_act() const { return role == Role::operator_; }
};

enum class Decision {
    allowed,
    denied,   ///< it exists, but not for this principal
    unknown,  ///< there is no such method or page
};

class Authorizer {
public:
    /// `operators`: common names that may act.
    explicit Authorizer(std::vector<std::string> operators) : operators_(std::move(operators)) {}

    /// A peer on the unix socket: an operator if it is our own user or root; otherwise nobody, who is turned
    /// away.
    std::optional<Principal> unix_peer(uid_t uid) const;
    /// A peer whose certificate has been verified.
    Principal tls_peer(const std::string& common_name) const;

    /// `what` is a JSON-RPC method or "GET /path".
    Decision decide(const Principal& principal, std::string_view what) const;

    /// Whether the principal may change a tunable that is for `needed`, once "set" itself is allowed.
    Decision decide_change(const Principal& principal, Role needed) const;

private:
    std::vector<std::string> operators_;
};

}  // namespace signalbox::service
