#include "agent/sockets/inherited_sockets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace signalbox::sockets {
namespace {

constexpr int kFirst = 3;
constexpr int kMost = 1024;

struct Inherited {
    int descriptor;
    std::string name;
    Address asked{};  ///< of one that was handed over
};

int number(const char* text) {
    int value = -1;
    const std::string_view digits = text ? text : "";
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() ? value : -1;
}

std::vector<Inherited> announced() {
    std::vector<Inherited> all;
    const int count = number(std::getenv("LISTEN_FDS"));
    if (number(std::getenv("LISTEN_PID")) == ::getpid() && count > 0 && count <= kMost) {
        const char* given = std::getenv("LISTEN_FDNAMES");
        std::string_view names = given ? given : "";
        for (int descriptor = kFirst; descriptor < kFirst + count; ++descriptor) {
            const std::size_t end = std::min(names.find(':'), names.size());
            const std::string name(names.substr(0, end));
            names.remove_prefix(std::min(end + 1, names.size()));
            if (::fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0) all.push_back({descriptor, name, {}});
        }
    }
    for (const char* variable : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})
        ::unsetenv(variable);
    return all;
}

/// They belong to the process as its environment does.
std::vector<Inherited>& inherited() {
    static std::vector<Inherited> all = announced();
    return all;
}

bool same(const sockaddr_storage& a, const sockaddr* b, socklen_t b_size, socklen_t a_size) {
    if (a.ss_family != b->sa_family) return false;
    switch (a.ss_family) {
        case AF_INET: {
            const auto& x = reinterpret_cast<const sockaddr_in&>(a);
            const auto& y = *reinterpret_cast<const sockaddr_in*>(b);
            return x.sin_port == y.sin_port && x.sin_addr.s_addr == y.sin_addr.s_addr;
        }
        case AF_INET6: {
            const auto& x = reinterpret_cast<const sockaddr_in6&>(a);
            const auto& y = *reinterpret_cast<const sockaddr_in6*>(b);
            return x.sin6_port == y.sin6_port &&
                   std::memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
        }
        case AF_UNIX: {
            const auto path = [](const sockaddr* address, socklen_t size) {
                const auto& named = *reinterpret_cast<const sockaddr_un*>(address);
                const std::size_t most = size - std::min<std::size_t>(size, offsetof(sockaddr_un, sun_path));
                return std::string_view(named.sun_path, ::strnlen(named.sun_path, most));
            };
            return path(reinterpret_cast<const sockaddr*>(&a), a_size) == path(b, b_size);
        }
        default:
            return false;
    }
}

bool is_at(const Inherited& socket, const sockaddr* address, socklen_t size, int wanted_type) {
    int type = 0;
    socklen_t type_size = sizeof type;
    sockaddr_storage bound{};
    socklen_t bound_size = sizeof bound;
    return ::getsockopt(socket.descriptor, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 &&
           type == wanted_type &&
           ((socket.asked.size > 0 && same(socket.asked.storage, address, size, socket.asked.size)) ||
            (::getsockname(socket.descriptor, reinterpret_cast<sockaddr*>(&bound), &bound_size) == 0 &&
             same(bound, address, size, bound_size)));
}

std::string describe(const Inherited& socket) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    std::string where = "no socket";
    if (::getsockname(socket.descriptor, reinterpret_cast<sockaddr*>(&bound), &size) == 0) {
        char text[INET6_ADDRSTRLEN] = "";
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(bound);
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(bound);
        if (bound.ss_family == AF_INET)
            where = fmt::format("{}:{}", ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text),
                                ntohs(v4.sin_port));
        else if (bound.ss_family == AF_INET6)
            where = fmt::format("[{}]:{}", ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text),
                                ntohs(v6.sin6_port));
        else if (bound.ss_family == AF_UNIX)
            where = fmt::format("unix:{:.107}", reinterpret_cast<const sockaddr_un&>(bound).sun_path);
    }
    return fmt::format("descriptor {} ({}{})", socket.descriptor, where,
                       socket.name.empty() ? "" : ", named '" + socket.name + "'");
}

}  // namespace

Address address_of(const sockaddr* address, socklen_t size) {
    Address copy;
    copy.size = std::min<socklen_t>(size, sizeof copy.storage);
    std::memcpy(&copy.storage, address, copy.size);
    return copy;
}

Address path_address(std::string_view path) {
    sockaddr_un named{};
    named.sun_family = AF_UNIX;
    path.copy(named.sun_path, sizeof named.sun_path - 1);
    return address_of(reinterpret_cast<const sockaddr*>(&named), sizeof named);
}

void inherit_socket(const BoundSocket& socket) {
    std::vector<Inherited>& all = inherited();
    const auto announced =
        std::find_if(all.begin(), all.end(), [](const Inherited& one) { return one.asked.size == 0; });
    all.insert(announced, {socket.descriptor, "", socket.asked});
}

int take_inherited_socket(const sockaddr* address, socklen_t size, int type) {
    std::vector<Inherited>& all = inherited();
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const Inherited& socket) { return is_at(socket, address, size, type); });
    if (found == all.end()) return -1;
    const int descriptor = found->descriptor;
    all.erase(found);
    return descriptor;
}

std::vector<std::string> close_unused_inherited_sockets() {
    std::vector<std::string> unused;
    for (const Inherited& socket : std::exchange(inherited(), {})) {
        unused.push_back(describe(socket));
        ::close(socket.descriptor);
    }
    return unused;
}

}  // namespace signalbox::sockets
