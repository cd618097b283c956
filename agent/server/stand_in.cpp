#include "agent/server/stand_in.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <utility>

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
/// While its turns are not trusted: it may be gone again in the next moment, and somebody else is there by then.
constexpr std::chrono::nanoseconds kWaryNap = 100us;
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
    epoll_event woken{.events = EPOLLIN | EPOLLET, .data = {.fd = wakeups_.of(slot_)}};
    ::epoll_ctl(set_, EPOLL_CTL_ADD, wakeups_.of(slot_), &woken);
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
        const Told told = wait_at_the_end_of_the_line();
        // As a rule it is the loop that others wake.
        if (told == Told::by_another_worker && look_at_loop(telemetry::monotonic_ns()) != Loop::away)
            continue;
        relieve();
        if (told != Told::of_a_connection || look_at_loop(telemetry::monotonic_ns()) == Loop::away) {
            nap = kShortNap;
            continue;
        }
        // Under a load that keeps all loops busy it would be told of every connection, for nothing.
        take_nap(nap);
    }
    stopped_ = true;
    stopped_.notify_all();
    while (!door_.idle()) {
        door_.sweep(telemetry::monotonic_ns());
        std::this_thread::sleep_for(5ms);
    }
    finished_ = true;
}

/// Of a connection: something has come, and no event loop was there that waited before this. The kernel wakes those first
/// that have waited longest: who goes away and comes again is behind them.
StandIn::Told StandIn::wait_at_the_end_of_the_line() {
    epoll_event event{.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, .data = {.fd = socket_}};
    ::epoll_ctl(set_, EPOLL_CTL_DEL, socket_, nullptr);
    ::epoll_ctl(set_, EPOLL_CTL_ADD, socket_, &event);
    const int milliseconds = static_cast<int>(std::chrono::milliseconds(kBeat).count());
    if (::epoll_wait(set_, &event, 1, milliseconds) != 1) return Told::of_nothing;
    return event.data.fd == socket_              ? Told::of_a_connection
           : event.data.fd == wakeups_.of(slot_) ? Told::by_another_worker
                                                 : Told::of_nothing;
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
                take_nap(nap);
                break;
            case Loop::away:
                nap = kShortNap;
                if (ask().others_first != LoadView::Reason::none) wait_for_the_others();
                if (!stopping_ && door_.accept_one(socket_) == Doorkeeper::Result::retry_later) sleep(10ms);
        }
        door_.sweep(telemetry::monotonic_ns());
    }
    needed_ = false;
}

LoadView::Advice StandIn::ask() const {
    return load_.ask(queue_.depth(), queue_.oldest_ns(), telemetry::monotonic_ns(), kMargin,
                     LoadView::Others::but_those_standing_back);
}

/// Until it is this worker's turn, or somebody has waited in vain for the others, or nobody waits any more.
void StandIn::wait_for_the_others() {
    const std::uint64_t since = telemetry::monotonic_ns();
    std::chrono::nanoseconds pause = kShortestPause;
    load_.set_standing_back(true);
    auto woken = UINT_MAX;
    for (LoadView::Advice advice = ask(); !stopping_ && advice.others_first != LoadView::Reason::none;
         advice = ask()) {
        // The kernel has told nobody but this thread.
        if (std::exchange(woken, advice.slot) != advice.slot) wakeups_.wake(advice.slot);
        sleep(pause);
        pause = std::min(2 * pause, kLongestPause);
        const std::uint64_t now = telemetry::monotonic_ns();
        if (!somebody_waits(socket_) ||
            (now - since > kPatienceNs && advice.others_first == LoadView::Reason::fewer_connections))
            break;
        door_.sweep(now);
    }
    load_.set_standing_back(false);
}

/// The next one is longer.
void StandIn::take_nap(std::chrono::nanoseconds& nap) {
    sleep(telemetry::monotonic_ns() < distrusted_until_ ? kWaryNap : nap);
    nap = std::min(2 * nap, kLongNap);
}

void StandIn::sleep(std::chrono::nanoseconds pause) {
    pollfd interrupted{interrupt_.of(0), POLLIN, 0};
    const timespec time{.tv_sec = 0, .tv_nsec = pause.count()};
    ::ppoll(&interrupted, 1, &time, nullptr);
}

}  // namespace signalbox::server
