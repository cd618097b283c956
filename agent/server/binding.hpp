// What every kind of socket that is served needs before it is bound, and says afterwards.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "agent/server/address.hpp"

namespace signalbox::server {

/// Best effort: what the kernel refuses stays as it is.
void set_option(int socket, int level, int option, int value);

/// A unix socket that a server left behind: nobody answers there any more. Anything else stays where it is. `type`:
/// SOCK_STREAM or SOCK_DGRAM, as the socket to be bound there.
void remove_abandoned(const SocketAddress& address, int type);

/// -1 with errno if there is none. With `any` for IPv6 and IPv4 at once or, on a host without IPv6, for IPv4 alone, as
/// `address` then says.
int open_socket(SocketAddress& address, bool any, int type);

/// With the port that was free; as it was asked for where that was "*:0".
std::string bound_address(int socket, std::string_view asked = {});

}  // namespace signalbox::server
