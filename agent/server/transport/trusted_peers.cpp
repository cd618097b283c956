#include "agent/server/transport/trusted_peers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace signalbox::server {

namespace {

constexpr unsigned kBits = 128;
constexpr unsigned kMappedBits = 96;

using Address = std::array<unsigned char, 16>;

Address mapped(const in_addr& v4) {
    Address address{};
    address[10] = address[11] = 0xff;
    std::memcpy(address.data() + 12, &v4, 4);
    return address;
}

[[noreturn]] void refuse(std::string_view text) {
    throw std::invalid_argument("trusted proxy '" + std::string(text) +
                                "' is no network; try '192.0.2.7', '10.0.0.0/8', 'fd00::/8' or 'unix'");
}

bool same_prefix(const Address& left, const Address& right, unsigned bits) {
    const unsigned bytes = bits / 8;
    if (!std::equal(left.begin(), left.begin() + bytes, right.begin())) return false;
    const unsigned rest = bits % 8;
    return rest == 0 || (left[bytes] ^ right[bytes]) >> (8 - rest) == 0;
}

}  // namespace

TrustedPeers::TrustedPeers(const std::vector<std::string>& networks) {
    for (const std::string& text : networks) {
        if (text == "unix")
            unix_ = true;
        else
            networks_.push_back(parse(text));
    }
}

TrustedPeers::Network TrustedPeers::parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::string host(text.substr(0, slash));
    Network network{};
    unsigned before = 0;  ///< bits in front of the address' own
    in_addr v4{};
    if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) {
        network.address = mapped(v4);
        before = kMappedBits;
    } else if (::inet_pton(AF_INET6, host.c_str(), network.address.data()) != 1) {
        refuse(text);
    }
    network.bits = kBits;
    if (slash == text.npos) return network;
    const std::string_view length = text.substr(slash + 1);
    const char* const end = length.data() + length.size();
    const auto [parsed, error] = std::from_chars(length.data(), end, network.bits);
    if (error != std::errc() || parsed != end || network.bits > kBits - before) refuse(text);
    network.bits += before;
    return network;
}

bool TrustedPeers::contains(const sockaddr_storage& peer) const {
    Address address;
    if (peer.ss_family == AF_INET) {
        sockaddr_in v4;
        std::memcpy(&v4, &peer, sizeof v4);
        address = mapped(v4.sin_addr);
    } else if (peer.ss_family == AF_INET6) {
        sockaddr_in6 v6;
        std::memcpy(&v6, &peer, sizeof v6);
        std::memcpy(address.data(), &v6.sin6_addr, address.size());
    } else {
        return unix_;
    }
    return std::ranges::any_of(networks_, [&](const Network& network) {
        return same_prefix(network.address, address, network.bits);
    });
}

}  // namespace signalbox::server
