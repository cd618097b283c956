#include "agent/server/lingering.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace signalbox::server {

namespace {

constexpr std::size_t kMost = 256;
constexpr std::uint64_t kPatience = 1'000'000'000;

/// False when the client has closed or the connection is broken. Reads at most 256 KiB, so that a sender that
/// never stops does not hold up the rest.
bool discard_input(int descriptor) {
    static thread_local char waste[16 * 1024];
    for (int i = 0; i < 16; ++i) {
        const ssize_t received = ::recv(descriptor, waste, sizeof waste, MSG_DONTWAIT);
        if (received > 0) continue;
        return received < 0 && (errno == EAGAIN || errno == EINTR);
    }
    return true;
}

}  // namespace

void reset_on_close(int descriptor) {
    const linger discard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &discard, sizeof discard);
}

LingeringSockets::~LingeringSockets() {
    for (const Socket& socket : sockets_)
        ::close(socket.descriptor);
}

void LingeringSockets::add(int descriptor, std::uint64_t now) {
    ::shutdown(descriptor, SHUT_WR);
    if (sockets_.size() == kMost) {
        ::close(sockets_.front().descriptor);
        sockets_.pop_front();
    }
    sockets_.push_back({descriptor, now + kPatience});
}

void LingeringSockets::sweep(std::uint64_t now) {
    const auto finished = [now](const Socket& socket) {
        if (now < socket.until && discard_input(socket.descriptor)) return false;
        ::close(socket.descriptor);
        return true;
    };
    sockets_.erase(std::remove_if(sockets_.begin(), sockets_.end(), finished), sockets_.end());
}

}  // namespace signalbox::server
