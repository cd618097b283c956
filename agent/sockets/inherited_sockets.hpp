// Sockets that are bound already: by whoever started this process, with the protocol of sd_listen_fds(3), or by the
// process that this one replaces.
//
//     if (const int socket = take_inherited_socket(address, size); socket >= 0) ...   // instead of binding
//
// One thread.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

namespace signalbox::sockets {

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
/// A copy. `size` is at most that of sockaddr_storage.
Address address_of(const sockaddr* address, socklen_t size);
/// Of a unix socket; `path` has fewer than 108 bytes.
Address path_address(std::string_view path);

/// A socket with the address that was asked for when it was bound: "127.0.0.1:0", say, where it got port 41234.
struct BoundSocket {
    int descriptor = -1;
    Address asked;
};

/// The inherited socket of that type that is bound to this address, or was when the same was asked for, or -1. It is
/// the caller's from then on. The first call takes LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES out of the environment and
/// makes what they announce close on exec.
int take_inherited_socket(const sockaddr* address, socklen_t size, int type = SOCK_STREAM);

/// Adds one, before those that were announced; those of one address are taken in the order in which they were added.
void inherit_socket(const BoundSocket& socket);

/// What nobody has taken: "descriptor 4 (unix:/run/old.sock, named 'old')". Closes them.
std::vector<std::string> close_unused_inherited_sockets();

}  // namespace signalbox::sockets
