#include "agent/server/doorkeeper.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "agent/server/transport/sniff.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::server {

namespace {

int open_reserve() {
    return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/// As far as can be told without waiting for the first byte.
bool expects_tls(const Listener& listener, int descriptor) {
    const ListenerOptions& options = listener.options;
    if (!options.tls) return false;
    char first = 0;
    const bool known = !options.proxy && ::recv(descriptor, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    return known ? begins_tls(first) : options.tls->policy == TlsPolicy::required;
}

/// How long a connection has waited in the kernel's queue: since its client last said something. 0: unknown.
std::uint64_t waited_in_kernel(int descriptor) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    return std::uint64_t{info.tcpi_last_ack_recv} * 1'000'000;
}

}  // namespace

bool send_unavailable(const Listener& listener, int descriptor) {
    const std::string_view answer = listener.protocol->unavailable();
    if (answer.empty()) {
        reset_on_close(descriptor);
        return false;
    }
    if (expects_tls(listener, descriptor)) {
        static constexpr std::string_view kAlert("\x15\x03\x03\x00\x02\x02\x50", 7);  // RFC 8446, section 6
        ::send(descriptor, kAlert.data(), kAlert.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return true;
    }
    ::send(descriptor, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return true;
}

void turn_away(const Listener& listener, int descriptor, LingeringSockets& lingering, std::uint64_t now) {
    if (send_unavailable(listener, descriptor))
        lingering.add(descriptor, now);
    else
        ::close(descriptor);
}

Doorkeeper::Doorkeeper(const Listener& listener, AcceptQueue& queue, ServerMetrics& metrics)
    : listener_(listener), queue_(queue), metrics_(metrics), reserve_(open_reserve()) {}

Doorkeeper::~Doorkeeper() {
    if (reserve_ >= 0) ::close(reserve_);
}

Doorkeeper::Result Doorkeeper::accept_one(int socket, std::uint64_t away_ns) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int descriptor =
        ::accept4(socket, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
        take(descriptor, peer, away_ns);
        return Result::taken;
    }
    switch (errno) {
        case EAGAIN:
        case EINTR:
            return Result::none;
        case ECONNABORTED:
            return Result::taken;
        case EMFILE:
        case ENFILE:
            metrics_.accept_failures.add();
            queue_.note_shortage();
            return give_up_reserve();
        default:
            metrics_.accept_failures.add();
            return Result::retry_later;  // the network's errors pass; memory may come back
    }
}

void Doorkeeper::take(int descriptor, const sockaddr_storage& peer, std::uint64_t away_ns) {
    const std::uint64_t now = telemetry::monotonic_ns();
    metrics_.accepted.add();
    if (!restore_reserve()) return turn_away_and_keep_the_place(descriptor);
    const bool in_time = queue_.admits(listener_.queue_deadline.get(), now);
    const std::uint64_t waited = away_ns == 0 ? 0 : std::min(away_ns, waited_in_kernel(descriptor));
    if (in_time && queue_.push({descriptor, now - waited, peer})) return;
    (in_time ? metrics_.shed_queue_full : metrics_.shed_expected_wait).add();
    queue_.count_shed();
    turn_away(listener_, descriptor, lingering_, now);
}

/// Without a free descriptor accept4 fails at once, even while nobody waits. The reserve makes room for one.
Doorkeeper::Result Doorkeeper::give_up_reserve() {
    // Without one, another thread was quicker to take its place. Nobody can be answered until something is closed.
    if (reserve_ < 0) return Result::retry_later;
    ::close(reserve_);
    reserve_ = -1;
    return Result::taken;
}

/// True if there is a reserve again, that is: if the descriptor that has just been accepted was not the last.
bool Doorkeeper::restore_reserve() {
    if (reserve_ < 0) reserve_ = open_reserve();
    return reserve_ >= 0;
}

/// Answers and closes at once, without lingering: the next one that waits needs the same place. If another
/// thread takes it first, reserve_ stays empty, and the next descriptor that comes free becomes the reserve.
void Doorkeeper::turn_away_and_keep_the_place(int descriptor) {
    queue_.note_shortage();
    metrics_.shed_no_descriptors.add();
    queue_.count_shed();
    if (send_unavailable(listener_, descriptor)) {
        ::shutdown(descriptor, SHUT_WR);
        char waste[4096];
        while (::recv(descriptor, waste, sizeof waste, MSG_DONTWAIT) > 0) {
        }
    }
    ::close(descriptor);
    restore_reserve();
}

}  // namespace signalbox::server
