// The agent process: shows the segment to consoles, browsers and Prometheus, and passes commands on to the
// arbiter.
//
// Runs in a child of the arbiter that has just been forked. Maps the segment read-only, listens on a unix
// socket (mode 0600, the peer's uid is checked) and, when configured, on TCP with TLS 1.3 and client
// certificates. When it dies the arbiter starts another; the traffic does not notice.
#pragma once

#include <string>

#include "agent/sockets/inherited_sockets.hpp"
#include "signalbox/group.hpp"

namespace signalbox::service {

struct ServiceConfig {
    int segment = -1;        ///< descriptor of the segment
    int commands = -1;       ///< SOCK_SEQPACKET socket to the arbiter, see commands.hpp
    int unix_listener = -1;  ///< bound and listening; the arbiter keeps it, so the path survives the agent
    int tls_listener = -1;   ///< -1: none
    AgentTls tls;
};

/// Binds the agent's unix socket, or takes over the inherited one: removes a stale one that nobody listens on, mode 0600, listens. Throws
/// std::system_error naming the path (too long for a socket, in use by another process, no such directory).
sockets::BoundSocket bind_agent_socket(const std::string& path);
/// Binds the TLS port; `address` as in Group::http.
sockets::BoundSocket bind_agent_port(const std::string& address);

/// Checks that the certificate files can be read and fit together. Throws std::invalid_argument naming the
/// file.
void check_tls(const AgentTls& tls);

/// Serves until SIGTERM, or until the arbiter's end of `commands` closes. Returns the exit status.
int run_agent(const ServiceConfig& config);

}  // namespace signalbox::service
