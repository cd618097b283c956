// The agent's own listening sockets.
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "agent/service/service.hpp"

namespace signalbox::service {
namespace {

constexpr int kBacklog = 64;

[[noreturn]] void fail(const std::string& what, int error = errno) {
    throw std::system_error(error, std::generic_category(), what);
}

struct Descriptor {
    explicit Descriptor(int descriptor) : value(descriptor) {}
    ~Descriptor() {
        if (value >= 0) ::close(value);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int release() { return std::exchange(value, -1); }
    int value;
};

/// The one that is bound there already, if this process has been given it: ready for this event loop.
Descriptor take_inherited(const sockets::Address& address) {
    const int socket = sockets::take_inherited_socket(address.get(), address.size);
    if (socket >= 0) ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
    return Descriptor(socket);
}

Descriptor open_socket(int family, const std::string& what) {
    const int socket = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket < 0) fail(what);
    return Descriptor(socket);
}

/// Removes a socket that nobody listens on. Anything else at that path stays.
void remove_stale(const std::string& path, const sockets::Address& address) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return;
    if (!S_ISSOCK(status.st_mode)) fail(path + ": there is a file that is not a socket", EEXIST);
    const Descriptor probe = open_socket(AF_UNIX, path);
    if (::connect(probe.value, address.get(), address.size) == 0 || errno == EAGAIN)
        fail(path + ": another process listens there", EADDRINUSE);
    if (errno != ECONNREFUSED) fail(path);
    if (::unlink(path.c_str()) != 0) fail(path);
}

struct HostPort {
    std::string host;  ///< empty: any
    std::string port;
};

HostPort split(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos || colon + 1 == address.size() || colon == 0)
        throw std::invalid_argument("agent address '" + address + "': try '0.0.0.0:9443' or '[::1]:9443'");
    HostPort parts{address.substr(0, colon), address.substr(colon + 1)};
    if (parts.host == "*") parts.host.clear();
    if (parts.host.size() > 2 && parts.host.front() == '[' && parts.host.back() == ']')
        parts.host = parts.host.substr(1, parts.host.size() - 2);
    return parts;
}

}  // namespace

sockets::BoundSocket bind_agent_socket(const std::string& path) {
    if (path.empty() || path.size() >= sizeof sockaddr_un::sun_path)
        fail("agent socket '" + path + "': a socket's path has 1 to " +
                 std::to_string(sizeof sockaddr_un::sun_path - 1) + " bytes",
             ENAMETOOLONG);
    const sockets::Address address = sockets::path_address(path);
    struct stat status {};
    const bool is_there = ::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
    if (Descriptor inherited = take_inherited(address); inherited.value >= 0 && is_there) {
        if (::listen(inherited.value, kBacklog) != 0) fail(path);
        return {inherited.release(), address};
    }
    remove_stale(path, address);

    Descriptor socket = open_socket(AF_UNIX, path);
    // Before bind, so that there is no moment in which others may connect; bind() applies it to the file.
    if (::fchmod(socket.value, 0600) != 0) fail(path);
    if (::bind(socket.value, address.get(), address.size) != 0) fail(path);
    if (::chmod(path.c_str(), 0600) != 0) fail(path);
    if (::listen(socket.value, kBacklog) != 0) fail(path);
    return {socket.release(), address};
}

sockets::BoundSocket bind_agent_port(const std::string& address) {
    const HostPort parts = split(address);
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(parts.host.empty() ? nullptr : parts.host.c_str(), parts.port.c_str(),
                                        &hints, &found);
        error != 0)
        throw std::invalid_argument("agent address '" + address + "': " + ::gai_strerror(error) +
                                    "; try '0.0.0.0:9443' or '[::1]:9443'");
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);

    const sockets::Address asked = sockets::address_of(found->ai_addr, found->ai_addrlen);
    if (Descriptor inherited = take_inherited(asked); inherited.value >= 0) {
        if (::listen(inherited.value, kBacklog) != 0) fail(address);
        return {inherited.release(), asked};
    }
    Descriptor socket = open_socket(found->ai_family, address);
    const int on = 1;
    ::setsockopt(socket.value, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket.value, found->ai_addr, found->ai_addrlen) != 0) fail(address);
    if (::listen(socket.value, kBacklog) != 0) fail(address);
    return {socket.release(), asked};
}

}  // namespace signalbox::service
