// TLS 1.3 with client certificates, and who the certificate says the client is.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <optional>
#include <string>

#include "signalbox/group.hpp"

namespace signalbox::service {

/// Throws std::invalid_argument naming the file that cannot be used.
boost::asio::ssl::context make_tls_context(const AgentTls& tls);

/// The subject's common name of the verified peer; none unless there is exactly one.
std::optional<std::string> peer_common_name(const SSL* ssl);

}  // namespace signalbox::service
