#include "agent/server/datagram/datagram_listener.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "agent/server/binding.hpp"
#include "agent/sockets/inherited_sockets.hpp"

namespace signalbox::server {

namespace {

Counter shed(Telemetry& telemetry, const char* reason) {
    return {telemetry, "datagrams_shed_total", "Datagrams that were not handled", {{"reason", reason}}};
}

}  // namespace

DatagramMetrics::DatagramMetrics(Telemetry& telemetry)
    : received(telemetry, "datagrams_received_total", "Datagrams received"),
      forwarded(telemetry, "datagrams_forwarded_total", "Datagrams forwarded to the worker of their key"),
      shed_kernel(shed(telemetry, "kernel")),
      shed_forwarding(shed(telemetry, "forwarding")),
      shed_busy(shed(telemetry, "busy")),
      shed_truncated(shed(telemetry, "truncated")),
      shed_malformed(shed(telemetry, "malformed")),
      duration(telemetry, "datagram_duration_seconds", "Time that a datagram's handler takes") {}

DatagramListener::~DatagramListener() {
    for (const int descriptor : sockets())
        ::close(descriptor);
    if (dropped_) ::munmap(dropped_, sizeof *dropped_);
}

std::vector<int> DatagramListener::sockets() const {
    std::vector<int> all;
    if (socket >= 0) all.push_back(socket);
    for (const Inbox& inbox : inboxes)
        all.insert(all.end(), {inbox.reader, inbox.writer});
    return all;
}

std::uint32_t DatagramListener::new_drops(std::uint32_t dropped) {
    std::uint32_t known = dropped_->load(std::memory_order_relaxed);
    // The counter wraps; what is told late by another worker is older.
    while (static_cast<std::int32_t>(dropped - known) > 0)
        if (dropped_->compare_exchange_weak(known, dropped, std::memory_order_relaxed))
            return dropped - known;
    return 0;
}

std::shared_ptr<DatagramListener> bind_datagram(std::string_view text, DatagramHandler handler,
                                                DatagramOptions options, unsigned slots,
                                                Telemetry& telemetry) {
    const auto fail = [&] { throw std::system_error(errno, std::generic_category(), std::string(text)); };
    SocketAddress address = parse_address(text);
    const int inherited = sockets::take_inherited_socket(reinterpret_cast<const sockaddr*>(&address.storage),
                                                         address.size, SOCK_DGRAM);
    if (!address.unix_path.empty() && inherited < 0) remove_abandoned(address, SOCK_DGRAM);
    auto listener = std::make_shared<DatagramListener>(std::move(handler), std::move(options), telemetry);
    void* shared = ::mmap(nullptr, sizeof *listener->dropped_, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) fail();
    listener->dropped_ = new (shared) std::atomic<std::uint32_t>(0);
    listener->socket = inherited >= 0 ? inherited
                                      : open_socket(address, text.starts_with('*'),
                                                    SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (listener->socket < 0) fail();
    listener->family = address.storage.ss_family;
    if (listener->family == AF_INET) set_option(listener->socket, IPPROTO_IP, IP_PKTINFO, 1);
    if (listener->family == AF_INET6) set_option(listener->socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_option(listener->socket, SOL_SOCKET, SO_RXQ_OVFL, 1);
    const auto buffer = static_cast<std::uint64_t>(listener->options.receive_buffer);
    if (buffer > 0) set_option(listener->socket, SOL_SOCKET, SO_RCVBUF, static_cast<int>(buffer));
    if (inherited >= 0)
        ::fcntl(inherited, F_SETFL, ::fcntl(inherited, F_GETFL) | O_NONBLOCK);
    else if (::bind(listener->socket, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0)
        fail();

    while (listener->options.key && listener->inboxes.size() < slots) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) fail();
        listener->inboxes.push_back({.reader = ends[0], .writer = ends[1]});
    }
    listener->address = address.unix_path.empty() ? bound_address(listener->socket, text) : std::string(text);
    return listener;
}

}  // namespace signalbox::server
