#include "agent/server/accept_thread.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "agent/server/transport/sniff.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/shielded_thread.hpp"

namespace signalbox::server {

namespace {

using namespace std::chrono_literals;

/// Interrupts accept4. A realtime signal, since servers like to use SIGUSR1 and SIGUSR2 themselves.
int interrupt_signal() {
    return SIGRTMIN + 3;
}

/// Without SA_RESTART, so that accept4 returns.
void install_interrupt_handler() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigemptyset(&action.sa_mask);
    ::sigaction(interrupt_signal(), &action, nullptr);
}

int open_reserve() {
    return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/// As far as can be told without waiting for the first byte.
bool expects_tls(const HttpListener& listener, int descriptor) {
    const ListenerOptions& options = listener.options;
    if (!options.tls) return false;
    char first = 0;
    const bool known = !options.proxy && ::recv(descriptor, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    return known ? begins_tls(first) : options.tls->policy == TlsPolicy::required;
}

}  // namespace

void send_unavailable(const HttpListener& listener, int descriptor) {
    if (expects_tls(listener, descriptor)) {
        static constexpr std::string_view kAlert("\x15\x03\x03\x00\x02\x02\x50", 7);  // RFC 8446, section 6
        ::send(descriptor, kAlert.data(), kAlert.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    static constexpr std::string_view kAnswer =
        "HTTP/1.1 503 Service Unavailable\r\n"
        "Retry-After: 1\r\n"
        "Connection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 24\r\n"
        "\r\n"
        "503 Service Unavailable\n";
    ::send(descriptor, kAnswer.data(), kAnswer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

AcceptThread::AcceptThread(const HttpListener& listener, AcceptQueue& queue, LoadView load,
                           ServerMetrics& metrics)
    : listener_(listener), queue_(queue), load_(load), metrics_(metrics), reserve_(open_reserve()) {
    install_interrupt_handler();
    thread_ = telemetry::start_shielded([this] { run(); }, {interrupt_signal()});
}

AcceptThread::~AcceptThread() {
    stop();
    thread_.join();
    if (reserve_ >= 0) ::close(reserve_);
}

void AcceptThread::stop() {
    stopping_ = true;
    // A signal that arrives just before accept4 blocks is lost, so it is sent until the thread has seen the
    // flag.
    while (!stopped_) {
        ::pthread_kill(thread_.native_handle(), interrupt_signal());
        std::this_thread::sleep_for(1ms);
    }
}

void AcceptThread::run() {
    while (!stopping_) {
        lingering_.sweep(telemetry::monotonic_ns());
        if (let_others_go_first())
            std::this_thread::sleep_for(2ms);
        else
            accept_one();
    }
    stopped_ = true;
    while (!lingering_.empty()) {
        lingering_.sweep(telemetry::monotonic_ns());
        std::this_thread::sleep_for(5ms);
    }
    finished_ = true;
}

void AcceptThread::accept_one() {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    // Returns at least every 100 ms (bind_http sets SO_RCVTIMEO), so that a worker whose loop gets stuck
    // while nothing comes in notices before it takes a connection, and lingering sockets are looked after.
    const int descriptor =
        ::accept4(listener_.socket, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) return take(descriptor, peer);
    switch (errno) {
        case EAGAIN:
        case EINTR:
        case ECONNABORTED:
            return;
        case EMFILE:
        case ENFILE:
            metrics_.accept_failures.add();
            queue_.note_shortage();
            return give_up_reserve();
        default:
            metrics_.accept_failures.add();
            std::this_thread::sleep_for(10ms);  // the network's errors pass; memory may come back
    }
}

void AcceptThread::take(int descriptor, const sockaddr_storage& peer) {
    const std::uint64_t now = telemetry::monotonic_ns();
    metrics_.accepted.add();
    if (!restore_reserve()) return turn_away_and_keep_the_place(descriptor);
    if (queue_.push({descriptor, now, peer})) return;
    metrics_.shed_queue_full.add();
    turn_away(descriptor, now);
}

void AcceptThread::turn_away(int descriptor, std::uint64_t now) {
    queue_.count_shed();
    send_unavailable(listener_, descriptor);
    lingering_.add(descriptor, now);
}

/// Without a free descriptor accept4 fails at once, even while nobody waits. The reserve makes room for one.
void AcceptThread::give_up_reserve() {
    if (reserve_ < 0) {
        // Another thread was quicker to take its place. Nobody can be answered until something is closed.
        std::this_thread::sleep_for(10ms);
        return;
    }
    ::close(reserve_);
    reserve_ = -1;
}

/// True if there is a reserve again, that is: if the descriptor that has just been accepted was not the last.
bool AcceptThread::restore_reserve() {
    if (reserve_ < 0) reserve_ = open_reserve();
    return reserve_ >= 0;
}

/// Answers and closes at once, without lingering: the next one that waits needs the same place. If another
/// thread takes it first, reserve_ stays empty, and the next descriptor that comes free becomes the reserve.
void AcceptThread::turn_away_and_keep_the_place(int descriptor) {
    queue_.note_shortage();
    metrics_.shed_no_descriptors.add();
    queue_.count_shed();
    send_unavailable(listener_, descriptor);
    ::shutdown(descriptor, SHUT_WR);
    char waste[4096];
    while (::recv(descriptor, waste, sizeof waste, MSG_DONTWAIT) > 0) {
    }
    ::close(descriptor);
    restore_reserve();
}

bool AcceptThread::let_others_go_first() const {
    return load_.should_defer(queue_.depth(), queue_.oldest_ns(), telemetry::monotonic_ns());
}

}  // namespace signalbox::server
