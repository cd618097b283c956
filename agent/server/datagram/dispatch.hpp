// Which worker a datagram belongs to, and what is sent along when it is forwarded there. No input or output.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace signalbox::server {

/// The slot of a key among `slots` > 0: jump consistent hash (Lamping and Veach, 2014). From n to n + 1 slots, one key in
/// n + 1 moves, all of them to the new one.
unsigned slot_of(std::string_view key, unsigned slots);

/// The address that a datagram was sent to, for the answer to come from. Unix sockets and those without wildcard do without.
struct LocalAddress {
    int family = AF_UNSPEC;  ///< AF_INET, AF_INET6; AF_UNSPEC: unknown
    in6_addr address{};      ///< an IPv4 address in its first four bytes
    unsigned interface = 0;  ///< of a link-local address
};

struct DatagramEnds {
    sockaddr_storage peer{};
    socklen_t peer_size = 0;
    LocalAddress local{};
};

/// What goes before a forwarded datagram. Only workers of the group can write it, but a broken one may: whatever does not
/// make sense is refused.
struct ForwardingHeader {
    static constexpr std::uint32_t kMagic = 0x53424447;  // "SBDG"

    std::uint32_t magic = kMagic;
    std::uint32_t peer_size = 0;
    std::uint32_t local_family = 0;
    std::uint32_t local_interface = 0;
    in6_addr local_address{};
    sockaddr_storage peer{};
};

ForwardingHeader header_for(const DatagramEnds& ends);
/// The ends, if `bytes` begin with a header for a socket of `family`; the datagram is behind it.
std::optional<DatagramEnds> read_header(std::span<const std::byte> bytes, int family);

}  // namespace signalbox::server
