// Networks, written as people do, and whether an address lies in one of them.
//
//     const TrustedPeers trusted({"10.0.0.0/8", "::1", "unix"});
//     if (trusted.contains(peer)) ...
#pragma once

#include <sys/socket.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace signalbox::server {

class TrustedPeers {
public:
    TrustedPeers() = default;
    /// Throws std::invalid_argument that names the one which is no network.
    explicit TrustedPeers(const std::vector<std::string>& networks);

    /// An IPv4 address is the same when it is written as an IPv6 one (::ffff:192.0.2.7).
    bool contains(const sockaddr_storage& peer) const;

private:
    using Address = std::array<unsigned char, 16>;  ///< IPv4 as mapped into IPv6
    struct Network {
        Address address;
        unsigned bits;
    };
    static Network parse(std::string_view text);

    std::vector<Network> networks_;
    bool unix_ = false;
};

}  // namespace signalbox::server
