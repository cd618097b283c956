#include "agent/server/datagram/dispatch.hpp"

#include <sys/un.h>

#include <cstring>

#include "common/sketch/distinct_hash.hpp"

namespace signalbox::server {

namespace {

bool fits(const sockaddr_storage& peer, socklen_t size, int family) {
    if (size == 0) return family == AF_UNIX;  // a client without a name
    if (peer.ss_family != family) return false;
    switch (family) {
        case AF_INET:
            return size == sizeof(sockaddr_in);
        case AF_INET6:
            return size == sizeof(sockaddr_in6);
        case AF_UNIX:
            return size >= offsetof(sockaddr_un, sun_path) && size <= sizeof(sockaddr_un);
        default:
            return false;
    }
}

}  // namespace

unsigned slot_of(std::string_view key, unsigned slots) {
    std::uint64_t hash = sketch::distinct_hash(key);
    std::int64_t slot = 0;
    for (std::int64_t next = 0; next < static_cast<std::int64_t>(slots);) {
        slot = next;
        hash = hash * 2862933555777941757ULL + 1;
        next = static_cast<std::int64_t>(
            static_cast<double>(slot + 1) *
            (static_cast<double>(std::int64_t{1} << 31) / static_cast<double>((hash >> 33) + 1)));
    }
    return static_cast<unsigned>(slot);
}

ForwardingHeader header_for(const DatagramEnds& ends) {
    ForwardingHeader header;
    header.peer_size = ends.peer_size;
    header.local_family = static_cast<std::uint32_t>(ends.local.family);
    header.local_interface = ends.local.interface;
    header.local_address = ends.local.address;
    header.peer = ends.peer;
    return header;
}

std::optional<DatagramEnds> read_header(std::span<const std::byte> bytes, int family) {
    ForwardingHeader header;
    if (bytes.size() < sizeof header) return std::nullopt;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != ForwardingHeader::kMagic || !fits(header.peer, header.peer_size, family))
        return std::nullopt;
    const int local = static_cast<int>(header.local_family);
    if (local != AF_UNSPEC && (local != family || family == AF_UNIX)) return std::nullopt;
    return DatagramEnds{
        .peer = header.peer,
        .peer_size = header.peer_size,
        .local = {.family = local, .address = header.local_address, .interface = header.local_interface}};
}

}  // namespace signalbox::server
