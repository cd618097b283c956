#include "agent/server/reuseport.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "agent/sockets/inherited_sockets.hpp"

namespace signalbox::server {

namespace {

/// As the first one is, but for what is said of it once only.
int bind_another(int first, const sockaddr_storage& address, socklen_t size) {
    const int socket = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket < 0) return -1;
    const auto set = [socket](int level, int option, int value) {
        ::setsockopt(socket, level, option, &value, sizeof value);
    };
    if (address.ss_family == AF_INET6) {
        int only_v6 = 0;
        socklen_t length = sizeof only_v6;
        ::getsockopt(first, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, &length);
        set(IPPROTO_IPV6, IPV6_V6ONLY, only_v6);
    }
    set(SOL_SOCKET, SO_REUSEADDR, 1);
    set(SOL_SOCKET, SO_REUSEPORT, 1);
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0) return socket;
    const int why = errno;
    ::close(socket);
    errno = why;
    return -1;
}

bool is_ready(telemetry::Segment& segment, unsigned slot) {
    for (unsigned seat = 2 * slot; seat < 2 * slot + 2; ++seat)
        if (segment.seat(seat)->phase.load(std::memory_order_relaxed) ==
            static_cast<std::uint32_t>(telemetry::Phase::ready))
            return true;
    return false;
}

}  // namespace

std::string_view name_of(Accept accept) {
    switch (accept) {
        case Accept::queue:
            return "queue";
        case Accept::exclusive:
            return "exclusive";
        case Accept::reuseport:
            return "reuseport";
    }
    return "unknown";
}

void bind_slots(Listener& listener, unsigned slots) {
    if (listener.options.accept != Accept::reuseport) return;
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(listener.socket, reinterpret_cast<sockaddr*>(&address), &size);
    const auto inherit = [&] {
        return sockets::take_inherited_socket(reinterpret_cast<const sockaddr*>(&address), size);
    };
    for (int socket = inherit(); socket >= 0; socket = inherit())
        listener.slot_sockets.push_back(socket);
    while (listener.slot_sockets.size() < slots) {
        const int socket = bind_another(listener.socket, address, size);
        if (socket < 0) throw std::system_error(errno, std::generic_category(), listener.address);
        listener.slot_sockets.push_back(socket);
    }
}

unsigned keeper_of(telemetry::Segment& segment, unsigned slot) {
    const unsigned slots = segment.geometry().slot_count;
    if (slot < slots && is_ready(segment, slot)) return slot;
    unsigned ready = 0;
    for (unsigned other = 0; other < slots; ++other)
        ready += is_ready(segment, other) ? 1 : 0;
    if (ready == 0) return slot;
    unsigned wanted = slot % ready;
    for (unsigned other = 0; other < slots; ++other)
        if (is_ready(segment, other) && wanted-- == 0) return other;
    return slot;
}

}  // namespace signalbox::server
