// How many connections wait in the kernel's queue of a listening socket, whoever owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/telemetry/view.hpp"

namespace signalbox::service {

/// Asks the kernel (sock_diag). None if it does not know such a listener, or may not be asked. Does not
/// block.
std::optional<std::uint32_t> kernel_backlog(const telemetry::ListenerInfo& listener);

}  // namespace signalbox::service
