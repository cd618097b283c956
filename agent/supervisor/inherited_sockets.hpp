// Sockets that whoever started this process has bound for it: the protocol of sd_listen_fds(3).
//
//     if (const int socket = take_inherited_socket(address, size); socket >= 0) ...   // instead of binding
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

namespace signalbox::supervisor {

/// The inherited stream socket that listens, or is to listen, at this address, or -1. It is the caller's from then on.
/// The first call takes LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES out of the environment and makes what they announce
/// close on exec; one thread.
int take_inherited_socket(const sockaddr* address, socklen_t size);

/// What nobody has taken: "descriptor 4 (unix:/run/old.sock, named 'old')". Closes them.
std::vector<std::string> close_unused_inherited_sockets();

}  // namespace signalbox::supervisor
