// Waiting for a descriptor that several processes wait for, so that an event wakes one of them.
#pragma once

namespace signalbox::server {

/// Makes the epoll of Asio that waits for `descriptor` do so with EPOLLEXCLUSIVE. Asio does not offer that, and an epoll
/// inside another one does not have the effect, so it is found in /proc/self/fdinfo and told anew what to wait for.
///
/// From then on only waits for reading are possible, and each of them must follow a read, accept4 or the like that has
/// returned EAGAIN in the same turn of the event loop: an event that came before would not be told again.
///
/// False if that is not possible (no /proc): events wake all processes, and all but one find nothing.
bool wait_exclusively(int descriptor);

}  // namespace signalbox::server
