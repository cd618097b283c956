// Sockets that have been answered and half-closed, kept until the client has read the answer.
//
// Closing a socket while unread input waits makes the kernel send a reset, and a reset may overtake the
// answer. So what the client still sends is read and thrown away for a while. The list is bounded: when it is
// full, the oldest is closed.
#pragma once

#include <cstdint>
#include <deque>

namespace signalbox::server {

/// close() discards what is unsent and resets the connection, if it is one of TCP.
void reset_on_close(int descriptor);

class LingeringSockets {
public:
    LingeringSockets() = default;
    ~LingeringSockets();
    LingeringSockets(const LingeringSockets&) = delete;
    LingeringSockets& operator=(const LingeringSockets&) = delete;

    /// Shuts the sending side down and takes the descriptor, which is non-blocking.
    void add(int descriptor, std::uint64_t now);
    /// Reads and discards; closes what the client has closed and what has lingered for a second. To be called
    /// every 100 ms or so; never blocks.
    void sweep(std::uint64_t now);
    bool empty() const { return sockets_.empty(); }

private:
    struct Socket {
        int descriptor;
        std::uint64_t until;
    };
    std::deque<Socket> sockets_;
};

}  // namespace signalbox::server
