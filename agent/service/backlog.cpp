#include "agent/service/backlog.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>

namespace signalbox::service {
namespace {

class DiagSocket {
public:
    DiagSocket()
        : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG)) {}
    ~DiagSocket() {
        if (socket_ >= 0) ::close(socket_);
    }
    DiagSocket(const DiagSocket&) = delete;
    DiagSocket& operator=(const DiagSocket&) = delete;

    /// Calls `each` with every socket in the answer to `request`.
    template <class Request, class Each>
    void dump(const Request& request, Each each) {
        struct {
            nlmsghdr header;
            Request request;
        } message{};
        message.header.nlmsg_len = sizeof message;
        message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
        message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        message.request = request;
        if (socket_ < 0 || ::send(socket_, &message, sizeof message, 0) < 0) return;
        alignas(nlmsghdr) std::array<char, 32768> buffer;
        for (;;) {
            const ssize_t size = ::recv(socket_, buffer.data(), buffer.size(), 0);
            if (size <= 0) return;
            auto remaining = static_cast<unsigned>(size);
            for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, remaining);
                 header = NLMSG_NEXT(header, remaining)) {
                if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) return;
                if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY) each(*header);
            }
        }
    }

private:
    int socket_;
};

constexpr std::uint32_t kListening = 1u << TCP_LISTEN;  // unix sockets use the same number

std::optional<std::uint32_t> tcp_backlog(int family, std::uint32_t port) {
    inet_diag_req_v2 request{};
    request.sdiag_family = static_cast<std::uint8_t>(family);
    request.sdiag_protocol = IPPROTO_TCP;
    request.idiag_states = kListening;
    std::optional<std::uint32_t> waiting;
    DiagSocket().dump(request, [&](const nlmsghdr& header) {
        if (header.nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) return;
        inet_diag_msg socket;
        std::memcpy(&socket, NLMSG_DATA(&header), sizeof socket);
        if (ntohs(socket.id.idiag_sport) == port) waiting = waiting.value_or(0) + socket.idiag_rqueue;
    });
    return waiting;
}

/// The attribute of that type, at least `least` bytes long.
std::string_view attribute(const nlmsghdr& header, unsigned short type, std::size_t least) {
    auto remaining = static_cast<int>(header.nlmsg_len - NLMSG_LENGTH(sizeof(unix_diag_msg)));
    const auto* at = static_cast<const char*>(NLMSG_DATA(&header)) + NLMSG_ALIGN(sizeof(unix_diag_msg));
    for (const auto* found = reinterpret_cast<const rtattr*>(at); RTA_OK(found, remaining);
         found = RTA_NEXT(found, remaining))
        if (found->rta_type == type && RTA_PAYLOAD(found) >= least)
            return {static_cast<const char*>(RTA_DATA(found)), RTA_PAYLOAD(found)};
    return {};
}

std::optional<std::uint32_t> unix_backlog(std::string_view path) {
    unix_diag_req request{};
    request.sdiag_family = AF_UNIX;
    request.udiag_states = kListening;
    request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN;
    std::optional<std::uint32_t> waiting;
    DiagSocket().dump(request, [&](const nlmsghdr& header) {
        if (header.nlmsg_len < NLMSG_LENGTH(sizeof(unix_diag_msg))) return;
        std::string_view name = attribute(header, UNIX_DIAG_NAME, 1);
        if (!name.empty() && name.back() == '\0') name.remove_suffix(1);
        const std::string_view lengths = attribute(header, UNIX_DIAG_RQLEN, sizeof(unix_diag_rqlen));
        if (name != path || lengths.empty()) return;
        unix_diag_rqlen queue;
        std::memcpy(&queue, lengths.data(), sizeof queue);
        waiting = queue.udiag_rqueue;
    });
    return waiting;
}

}  // namespace

std::optional<std::uint32_t> kernel_backlog(const telemetry::ListenerInfo& listener) {
    constexpr std::string_view unix_prefix = "unix:";
    if (listener.address.starts_with(unix_prefix))
        return unix_backlog(std::string_view(listener.address).substr(unix_prefix.size()));
    const auto waiting = tcp_backlog(listener.address.starts_with('[') ? AF_INET6 : AF_INET, listener.port);
    // "*" may be bound as either.
    return waiting || !listener.address.starts_with('*') ? waiting : tcp_backlog(AF_INET6, listener.port);
}

}  // namespace signalbox::service
