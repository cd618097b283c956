#include "agent/server/accept_thread.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>

#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/shielded_thread.hpp"

namespace signalbox::server {

namespace {

using namespace std::chrono_literals;

constexpr auto kShortestPause = 50us;
constexpr auto kLongestPause = 10ms;
/// What has waited so long is taken, whoever should have taken it.
constexpr std::uint64_t kPatience = 5'000'000;

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

bool somebody_waits(int socket) {
    pollfd listening{socket, POLLIN, 0};
    return ::poll(&listening, 1, 0) == 1;
}

}  // namespace

AcceptThread::AcceptThread(const Listener& listener, AcceptQueue& queue, LoadView load,
                           ServerMetrics& metrics)
    : socket_(listener.socket), queue_(queue), load_(load), door_(listener, queue, metrics) {
    install_interrupt_handler();
    thread_ = telemetry::start_shielded([this] { run(); }, {interrupt_signal()});
}

AcceptThread::~AcceptThread() {
    stop();
    thread_.join();
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
        door_.sweep(telemetry::monotonic_ns());
        if (why_others_go_first() != LoadView::Reason::none) wait_for_the_others();
        // Returns at least every 100 ms (bind_listener sets SO_RCVTIMEO), so that a worker whose loop gets stuck
        // while nothing comes in notices before it takes a connection, and lingering sockets are looked after.
        if (!stopping_ && door_.accept_one(socket_) == Doorkeeper::Result::retry_later)
            std::this_thread::sleep_for(10ms);
    }
    stopped_ = true;
    while (!door_.idle()) {
        door_.sweep(telemetry::monotonic_ns());
        std::this_thread::sleep_for(5ms);
    }
    finished_ = true;
}

LoadView::Reason AcceptThread::why_others_go_first() const {
    return load_.should_defer(queue_.depth(), queue_.oldest_ns(), telemetry::monotonic_ns());
}

/// Until it is this worker's turn, or somebody has waited in vain for the others. While nobody comes it looks ever more
/// seldom, since one of the others waits in accept4.
void AcceptThread::wait_for_the_others() {
    std::uint64_t waits_since = 0;
    std::chrono::nanoseconds pause = kShortestPause;
    load_.set_deferring(true);
    for (auto why = why_others_go_first(); !stopping_ && why != LoadView::Reason::none;
         why = why_others_go_first()) {
        std::this_thread::sleep_for(pause);
        const std::uint64_t now = telemetry::monotonic_ns();
        door_.sweep(now);
        if (!somebody_waits(socket_)) {
            waits_since = 0;
            pause = std::min<std::chrono::nanoseconds>(2 * pause, kLongestPause);
        } else if (waits_since == 0) {
            waits_since = now;
            pause = kShortestPause;
        } else if (now - waits_since > kPatience && why == LoadView::Reason::fewer_connections) {
            break;
        }
    }
    load_.set_deferring(false);
}

}  // namespace signalbox::server
