#include "agent/server/binding.hpp"

#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace signalbox::server {

void set_option(int socket, int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof value);
}

void remove_abandoned(const SocketAddress& address, int type) {
    struct stat status {};
    if (::lstat(address.unix_path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
    const int probe = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int connected = ::connect(probe, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
    const bool abandoned = connected != 0 && errno == ECONNREFUSED;
    ::close(probe);
    if (abandoned) ::unlink(address.unix_path.c_str());
}

int open_socket(SocketAddress& address, bool any, int type) {
    const int socket = ::socket(address.storage.ss_family, type, 0);
    if (!any) return socket;
    if (socket >= 0) {
        set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 0);
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

}  // namespace signalbox::server
