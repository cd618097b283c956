#include "agent/server/transport/proxy_header.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace signalbox::server {

namespace {

constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr unsigned kVersion2 = 0x20;
constexpr unsigned kLocal = 0;
constexpr unsigned kProxied = 1;
// The high half of byte 13; the low one is the transport.
constexpr unsigned kUnspecified = 0x0;
constexpr unsigned kInet = 0x1;
constexpr unsigned kInet6 = 0x2;
constexpr unsigned kUnix = 0x3;
constexpr unsigned kMostTransport = 0x2;  ///< unspecified, stream, datagram

constexpr std::size_t address_bytes(unsigned family) {
    return family == kInet ? 12 : family == kInet6 ? 36 : family == kUnix ? 216 : 0;
}

}  // namespace

void ProxyHeader::commit(std::size_t bytes) {
    have_ += bytes;
    const std::size_t known = std::min(have_, kSignature.size());
    if (std::string_view(bytes_.data(), known) != kSignature.substr(0, known)) {
        status_ = Status::not_version_2;
        return;
    }
    if (have_ == kFixed && want_ == kFixed) status_ = look_at_fixed_part();
    if (status_ == Status::need_more && have_ == want_) status_ = look_at_addresses();
}

ProxyHeader::Status ProxyHeader::look_at_fixed_part() {
    const unsigned command = byte(12) & 0x0f;
    const unsigned family = byte(13) >> 4;
    const std::size_t rest = byte(14) << 8 | byte(15);
    if ((byte(12) & 0xf0) != kVersion2) return Status::not_version_2;
    if (command > kProxied) return Status::malformed;
    // A local connection's family and addresses are to be ignored, whatever they are.
    if (command == kProxied &&
        (family > kUnix || (byte(13) & 0x0f) > kMostTransport || rest < address_bytes(family)))
        return Status::malformed;
    if (kFixed + rest > kMost) return Status::too_long;
    want_ = kFixed + rest;
    return Status::need_more;
}

ProxyHeader::Status ProxyHeader::look_at_addresses() {
    const unsigned family = byte(13) >> 4;
    if ((byte(12) & 0x0f) == kLocal || family == kUnspecified) return Status::complete;
    client_.emplace();
    const char* const addresses = bytes_.data() + kFixed;
    if (family == kInet) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        std::memcpy(&v4.sin_addr, addresses, 4);
        std::memcpy(&v4.sin_port, addresses + 8, 2);
        std::memcpy(&*client_, &v4, sizeof v4);
    } else if (family == kInet6) {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        std::memcpy(&v6.sin6_addr, addresses, 16);
        std::memcpy(&v6.sin6_port, addresses + 32, 2);
        std::memcpy(&*client_, &v6, sizeof v6);
    } else {
        client_->ss_family = AF_UNIX;
    }
    return Status::complete;
}

}  // namespace signalbox::server
