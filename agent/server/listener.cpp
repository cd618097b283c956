// Binding: the sockets that all workers share.
#include "agent/server/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "agent/server/address.hpp"
#include "agent/sockets/inherited_sockets.hpp"
#include "agent/telemetry/layout.hpp"

namespace signalbox::server {

namespace {

[[noreturn]] void fail(std::string_view address) {
    throw std::system_error(errno, std::generic_category(), std::string(address));
}

void set(int socket, int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof value);
}

/// A socket that a server left behind: nobody answers there any more. Anything else stays where it is.
void remove_abandoned(const SocketAddress& address) {
    struct stat status {};
    if (::lstat(address.unix_path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int connected = ::connect(probe, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
    const bool abandoned = connected != 0 && errno == ECONNREFUSED;
    ::close(probe);
    if (abandoned) ::unlink(address.unix_path.c_str());
}

/// IPv6 and IPv4 at once, or IPv4 alone on a host without IPv6.
int open_socket(SocketAddress& address, bool any) {
    const int type = SOCK_STREAM | SOCK_CLOEXEC;
    const int socket = ::socket(address.storage.ss_family, type, 0);
    if (!any) return socket;
    if (socket >= 0) {
        set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 0);
        return socket;
    }
    const auto port = reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port;
    address = parse_address("0.0.0.0:0");
    reinterpret_cast<sockaddr_in&>(address.storage).sin_port = port;
    return ::socket(AF_INET, type, 0);
}

std::string bound_address(int socket, std::string_view asked) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size);
    const std::string text = format_address(bound);
    return asked.starts_with('*') ? "*" + text.substr(text.rfind(':')) : text;
}

}  // namespace

std::shared_ptr<Listener> bind_listener(std::string_view text, ListenerOptions options, unsigned index) {
    if (index >= telemetry::kMaxListeners)
        throw std::invalid_argument(std::string(text) + ": a group has at most " +
                                    std::to_string(telemetry::kMaxListeners) + " listeners");
    SocketAddress address = parse_address(text);
    const bool is_unix = !address.unix_path.empty();
    if (is_unix && options.accept == Accept::reuseport)
        throw std::invalid_argument(std::string(text) +
                                    ": unix sockets cannot be accepted with reuseport; try exclusive");
    const int inherited =
        sockets::take_inherited_socket(reinterpret_cast<const sockaddr*>(&address.storage), address.size);
    if (is_unix && inherited < 0) remove_abandoned(address);

    const int socket = inherited >= 0 ? inherited : open_socket(address, text.starts_with('*'));
    if (socket < 0) fail(text);
    const std::shared_ptr<Listener> listener(new Listener{.socket = socket,
                                                          .index = index,
                                                          .address = std::string(text),
                                                          .is_unix = is_unix,
                                                          .options = options,
                                                          .queue_deadline = options.queue_deadline},
                                             [](Listener* bound) {
                                                 for (const int one : bound->slot_sockets)
                                                     ::close(one);
                                                 delete bound;
                                             });
    if (!is_unix) {
        set(socket, SOL_SOCKET, SO_REUSEADDR, 1);
        if (options.accept == Accept::reuseport) set(socket, SOL_SOCKET, SO_REUSEPORT, 1);
        if (options.defer_accept.count() > 0)
            set(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, static_cast<int>(options.defer_accept.count()));
        set(socket, IPPROTO_TCP, TCP_NODELAY, 1);  // Linux: accepted sockets inherit it
    }
    // accept4 returns with EAGAIN after this long; see AcceptThread.
    const timeval patience{.tv_sec = 0, .tv_usec = 100'000};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const bool blocks = options.accept == Accept::queue;  // the accept thread does, an event loop never
    const int flags = ::fcntl(socket, F_GETFL);
    ::fcntl(socket, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
    if (inherited < 0 &&
        ::bind(socket, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0)
        fail(text);
    if (::listen(socket, options.backlog) != 0) fail(text);

    if (!is_unix) listener->address = bound_address(socket, text);
    return listener;
}

}  // namespace signalbox::server
