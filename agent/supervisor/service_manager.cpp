#include "agent/supervisor/service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace signalbox::supervisor {
namespace {

/// Out of the environment, so that no child takes it for its own.
std::string take(const char* variable) {
    const char* value = std::getenv(variable);
    std::string taken = value ? value : "";
    ::unsetenv(variable);
    return taken;
}

std::optional<std::uint64_t> number(const std::string& text) {
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end) return {};
    return value;
}

/// A socket connected to "/run/systemd/notify" or to an abstract "@name"; -1 if there is none.
int connect_to(const std::string& path) {
    sockaddr_un address{};
    if (path.size() < 2 || path.size() >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return -1;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket >= 0 && ::connect(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0)
        return socket;
    if (socket >= 0) ::close(socket);
    return -1;
}

}  // namespace

ServiceManager::ServiceManager() : socket_(connect_to(take("NOTIFY_SOCKET"))) {
    const auto period = number(take("WATCHDOG_USEC"));
    const std::string whose = take("WATCHDOG_PID");
    const bool ours = whose.empty() || number(whose) == static_cast<std::uint64_t>(::getpid());
    if (socket_ < 0 || !ours || !period || *period == 0 || *period > UINT64_MAX / 1000) return;
    period_ns_ = *period * 1000;
    next_beat_ns_ = 0;
}

ServiceManager::~ServiceManager() {
    leave();
}

void ServiceManager::leave() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
    next_beat_ns_ = UINT64_MAX;
}

void ServiceManager::tell(std::string_view message) {
    if (socket_ >= 0) ::send(socket_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ServiceManager::status(const std::string& text) {
    if (socket_ < 0 || text == status_) return;
    status_ = text;
    tell("STATUS=" + text);
}

void ServiceManager::beat(std::uint64_t now) {
    if (now < next_beat_ns_) return;
    tell("WATCHDOG=1");
    next_beat_ns_ = now + period_ns_ / 2;
}

}  // namespace signalbox::supervisor
