#include "agent/server/stand_in.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>

#include "agent/telemetry/checked.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/shielded_thread.hpp"

namespace signalbox::server {

namespace {

using namespace std::chrono_literals;

/// A loop whose turn takes longer is away. It may be that others have had the processor.
constexpr std::uint64_t kAway = 10'000'000;
/// One that was away for so long was in a handler that blocks or computes, and is likely to be there soon again: for a
/// while, every turn is taken for such a one.
constexpr std::uint64_t kLongAway = 50'000'000;
constexpr std::uint64_t kDistrust = 1'000'000'000;
/// While the loop turns, it is looked at again after this, and ever more seldom.
constexpr std::chrono::nanoseconds kShortNap = 1ms;
constexpr std::chrono::nanoseconds kLongNap = 8ms;
/// While it is the others' turn.
constexpr std::chrono::nanoseconds kShortestPause = 50us;
constexpr std::chrono::nanoseconds kLongestPause = 10ms;
/// What an event loop that is away takes less than others, if they have as many connections.
constexpr std::uint64_t kMargin = 2;
/// So often it looks after those that it has turned away, and whether somebody waits of whom it was not told.
constexpr auto kBeat = 100ms;

}  // namespace

bool somebody_waits(int socket) {
    pollfd listening{socket, POLLIN, 0};
    return ::poll(&listening, 1, 0) == 1;
}

StandIn::StandIn(const Listener& listener, AcceptQueue& queue, const LoadView& load, WorkerContext& context)
    : socket_(listener.socket),
      queue_(queue),
      load_(load),
      turn_(context.poller.turn()),
      wakeups_(*context.wakeups),
      slot_(context.seat.slot()),
      door_(listener, queue, context.metrics),
      set_(telemetry::checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      interrupt_(1) {
    epoll_event interrupted{.events = EPOLLIN, .data = {.fd = interrupt_.of(0)}};
    ::epoll_ctl(set_, EPOLL_CTL_ADD, interrupt_.of(0), &interrupted);
    thread_ = telemetry::start_shielded([this] { run(); });
}

StandIn::~StandIn() {
    stop();
    thread_.join();
    ::close(set_);
}

void StandIn::stop() {
    stopping_ = true;
    interrupt_.wake(0);
    stopped_.wait(false);
}

void StandIn::run() {
    for (std::chrono::nanoseconds nap = kShortNap; !stopping_;) {
        door_.sweep(telemetry::monotonic_ns());
        const bool told = wait_at_the_end_of_the_line();
        relieve();
        if (!told || look_at_loop(telemetry::monotonic_ns()) == Loop::away) {
            nap = kShortNap;
            continue;
        }
        // Under a load that keeps all loops busy it would be told of every connection, for nothing.
        sleep(nap);
        nap = std::min(2 * nap, kLongNap);
    }
    stopped_ = true;
    stopped_.notify_all();
    while (!door_.idle()) {
        door_.sweep(telemetry::monotonic_ns());
        std::this_thread::sleep_for(5ms);
    }
    finished_ = true;
}

/// True: something has come, and no event loop was there that waited before this. The kernel wakes those first that have
/// waited longest: who goes away and comes again is behind them.
bool StandIn::wait_at_the_end_of_the_line() {
    epoll_event event{.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, .data = {.fd = socket_}};
    ::epoll_ctl(set_, EPOLL_CTL_DEL, socket_, nullptr);
    ::epoll_ctl(set_, EPOLL_CTL_ADD, socket_, &event);
    const int milliseconds = static_cast<int>(std::chrono::milliseconds(kBeat).count());
    return ::epoll_wait(set_, &event, 1, milliseconds) == 1 && event.data.fd == socket_;
}

StandIn::Loop StandIn::look_at_loop(std::uint64_t now) {
    const std::uint64_t began = turn_.load(std::memory_order_relaxed);
    if (began == 0) return load_.stands_back() ? Loop::stands_back : Loop::waits;
    if (now > began + kLongAway) distrusted_until_ = now + kDistrust;
    const bool away = now < distrusted_until_ || now > began + kAway;
    return away || needed_.load(std::memory_order_relaxed) ? Loop::away : Loop::turns;
}

/// Until nobody waits. A loop that waits as well was asleep when this thread was woken in its place.
void StandIn::relieve() {
    std::chrono::nanoseconds nap = kShortNap;
    while (!stopping_ && somebody_waits(socket_)) {
        switch (look_at_loop(telemetry::monotonic_ns())) {
            case Loop::stands_back:
                return;
            case Loop::waits:
                wakeups_.wake(slot_);
                [[fallthrough]];
            case Loop::turns:
                sleep(nap);
                nap = std::min(2 * nap, kLongNap);
                break;
            case Loop::away:
                nap = kShortNap;
                if (why_others_go_first() != LoadView::Reason::none) wait_for_the_others();
                if (!stopping_ && door_.accept_one(socket_) == Doorkeeper::Result::retry_later) sleep(10ms);
        }
        door_.sweep(telemetry::monotonic_ns());
    }
    needed_ = false;
}

LoadView::Reason StandIn::why_others_go_first() const {
    return load_
        .ask(queue_.depth(), queue_.oldest_ns(), telemetry::monotonic_ns(), kMargin,
             LoadView::Others::but_those_standing_back)
        .others_first;
}

/// Until it is this worker's turn, or somebody has waited in vain for the others, or nobody waits any more.
void StandIn::wait_for_the_others() {
    const std::uint64_t since = telemetry::monotonic_ns();
    std::chrono::nanoseconds pause = kShortestPause;
    load_.set_standing_back(true);
    for (auto why = why_others_go_first(); !stopping_ && why != LoadView::Reason::none;
         why = why_others_go_first()) {
        sleep(pause);
        pause = std::min(2 * pause, kLongestPause);
        const std::uint64_t now = telemetry::monotonic_ns();
        if (!somebody_waits(socket_) ||
            (now - since > kPatienceNs && why == LoadView::Reason::fewer_connections))
            break;
        door_.sweep(now);
    }
    load_.set_standing_back(false);
}

void StandIn::sleep(std::chrono::nanoseconds pause) {
    pollfd interrupted{interrupt_.of(0), POLLIN, 0};
    const timespec time{.tv_sec = 0, .tv_nsec = pause.count()};
    ::ppoll(&interrupted, 1, &time, nullptr);
}

}  // namespace signalbox::server
