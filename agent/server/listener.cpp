// Binding: the sockets that all workers share.
#include "agent/server/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "agent/server/binding.hpp"
#include "agent/sockets/inherited_sockets.hpp"
#include "agent/telemetry/layout.hpp"

namespace signalbox::server {

namespace {

[[noreturn]] void fail(std::string_view address) {
    throw std::system_error(errno, std::generic_category(), std::string(address));
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
    if (is_unix && inherited < 0) remove_abandoned(address, SOCK_STREAM);

    const int socket =
        inherited >= 0 ? inherited : open_socket(address, text.starts_with('*'), SOCK_STREAM | SOCK_CLOEXEC);
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
        set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
        if (options.accept == Accept::reuseport) set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1);
        set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);  // Linux: accepted sockets inherit it
    }
    ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
    if (inherited < 0 &&
        ::bind(socket, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0)
        fail(text);
    if (::listen(socket, options.backlog) != 0) fail(text);

    if (!is_unix) listener->address = bound_address(socket, text);
    return listener;
}

void defer_accept(const Listener& listener, std::chrono::seconds most) {
    if (listener.is_unix) return;
    for (const int socket : listener.slot_sockets)
        set_option(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, static_cast<int>(most.count()));
}

}  // namespace signalbox::server
