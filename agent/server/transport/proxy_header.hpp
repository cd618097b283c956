// The PROXY protocol's header, version 2 (HAProxy, doc/proxy-protocol.txt, section 2.2): who the client is that a
// proxy speaks for. Bytes in, an address out; no input or output of its own.
//
//     ProxyHeader header;
//     while (header.status() == ProxyHeader::Status::need_more)
//         header.commit(read(header.space()));            // never reads past the header
//
// What it asks for is the fixed part, then exactly the announced rest. So the first byte that is left in the
// socket is the first one of the protocol behind.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <optional>
#include <span>

namespace signalbox::server {

class ProxyHeader {
public:
    enum class Status {
        need_more,
        complete,
        not_version_2,  ///< something else, perhaps version 1
        malformed,      ///< a command, family or length that does not exist
        too_long,       ///< more than kMost bytes
    };
    /// Of the whole header. Addresses take at most 232; the rest is what the proxy wants to tell besides.
    static constexpr std::size_t kMost = 2048;

    Status status() const { return status_; }
    /// Where the next bytes go; not empty while more is needed.
    std::span<char> space() { return {bytes_.data() + have_, want_ - have_}; }
    void commit(std::size_t bytes);

    /// The client. None when the proxy speaks for itself (a health check) or knows only that there is one: the
    /// peer is then who has connected.
    const std::optional<sockaddr_storage>& client() const { return client_; }

private:
    Status look_at_fixed_part();
    Status look_at_addresses();
    unsigned byte(std::size_t at) const { return static_cast<unsigned char>(bytes_[at]); }

    static constexpr std::size_t kFixed = 16;

    std::array<char, kMost> bytes_;
    std::size_t have_ = 0;
    std::size_t want_ = kFixed;
    Status status_ = Status::need_more;
    std::optional<sockaddr_storage> client_;
};

}  // namespace signalbox::server
