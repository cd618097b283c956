#include "agent/server/doorkeeper.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

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
    ::send(descriptor, answer.data(), answer.size(), MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL);
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
    AcceptedSocket taken;
    const Result result = accept(socket, taken);
    if (taken.descriptor < 0) return result;
    const std::uint64_t now = telemetry::monotonic_ns();
    taken.accepted_ns = now - (away_ns == 0 ? 0 : std::min(away_ns, waited_in_kernel(taken.descriptor)));
    const bool in_time = queue_.admits(listener_.queue_deadline.get(), now);
    if (in_time && queue_.push(taken)) return result;
    (in_time ? metrics_.shed_queue_full : metrics_.shed_expected_wait).add();
    queue_.count_shed();
    turn_away(listener_, taken.descriptor, lingering_, now);
    return result;
}

Doorkeeper::Result Doorkeeper::accept_now(int socket, std::uint64_t now, AcceptedSocket& taken) {
    const Result result = accept(socket, taken);
    if (taken.descriptor < 0) return result;
    taken.accepted_ns = now;
    queue_.count_served_at_once();
    return result;
}

Doorkeeper::Result Doorkeeper::accept(int socket, AcceptedSocket& taken) {
    socklen_t size = sizeof taken.peer;
    taken.descriptor =
        ::accept4(socket, reinterpret_cast<sockaddr*>(&taken.peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (taken.descriptor >= 0) {
        metrics_.accepted.add();
        if (!restore_reserve()) turn_away_and_keep_the_place(std::exchange(taken.descriptor, -1));
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
