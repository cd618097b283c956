#include "agent/server/poller.hpp"

#include <unistd.h>

#include <boost/asio/error.hpp>

#include "agent/telemetry/checked.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::server {

namespace {

using telemetry::checked;

constexpr std::uint32_t kBothWays = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

}  // namespace

Poller::Poller(boost::asio::io_context& io, TurnBegan* turn)
    : io_(io),
      turn_(turn ? turn : &own_turn_),
      set_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {}

Poller::~Poller() {
    ::close(set_);
}

void Poller::attach() {
    if (reactor_.task) return;
    reactor_ = wait_with(io_, *this);
    waiting_.emplace(io_.get_executor());
    epoll_event event{.events = EPOLLIN, .data = {.u64 = kReactor}};
    checked(::epoll_ctl(set_, EPOLL_CTL_ADD, reactor_.descriptor, &event), "epoll_ctl");
}

// ---- what waits

epoll_event Poller::event_of(std::uint32_t place, std::uint32_t events) const {
    return {.events = events, .data = {.u64 = std::uint64_t{places_[place].generation} << 32 | place}};
}

std::uint32_t Poller::add(int descriptor, std::uint32_t events) {
    attach();
    if (vacant_.empty()) {
        vacant_.push_back(static_cast<std::uint32_t>(places_.size()));
        places_.emplace_back();
    }
    const std::uint32_t place = vacant_.back();
    epoll_event event = event_of(place, events);
    checked(::epoll_ctl(set_, EPOLL_CTL_ADD, descriptor, &event), "epoll_ctl");
    vacant_.pop_back();
    return place;
}

void Poller::add(Entry& entry) {
    entry.place = add(entry.descriptor, kBothWays);
    places_[entry.place].entry = &entry;
}

/// Registering anew makes the kernel tell again what it has told.
void Poller::look_again(const Entry& entry) {
    epoll_event event = event_of(entry.place, kBothWays);
    ::epoll_ctl(set_, EPOLL_CTL_MOD, entry.descriptor, &event);
}

void Poller::forget(std::uint32_t& place) {
    if (place == kNowhere) return;
    places_[place] = {nullptr, nullptr, places_[place].generation + 1};
    vacant_.push_back(std::exchange(place, kNowhere));
}

void Poller::remove(int descriptor, std::uint32_t& place) {
    if (place == kNowhere) return;
    ::epoll_ctl(set_, EPOLL_CTL_DEL, descriptor, nullptr);
    forget(place);
}

void Poller::abandon_all() {
    waiting_.reset();
    for (std::size_t place = 0; place < places_.size(); ++place)
        for (std::size_t direction = 0; direction < 2; ++direction)
            if (Entry* const entry = places_[place].entry)
                const Waiting abandoned = std::move(entry->waiting[direction]);
}

// ---- a turn

/// The io_context has nothing else to do, for so long at most (-1: until interrupted), or just wants to know (0).
void Poller::run(long microseconds,
                 boost::asio::detail::op_queue<boost::asio::detail::scheduler_operation>& done) {
    const bool more_than_a_turn = next_ < fetched_;
    if (!more_than_a_turn) fetch(microseconds < 0 ? -1 : static_cast<int>((microseconds + 999) / 1000));
    bool reactor_too = more_than_a_turn;
    for (const std::uint64_t began = more_than_a_turn ? telemetry::monotonic_ns()
                                                      : turn_->load(std::memory_order_relaxed);
         next_ < fetched_;) {
        const epoll_event& event = events_[next_++];
        if (event.data.u64 == kReactor) {
            reactor_too = true;
            continue;
        }
        deliver(event);
        if (next_ < fetched_ && telemetry::monotonic_ns() - began > kTurnNanoseconds) break;
    }
    if (reactor_too) reactor_.task->run(0, done);
    // The io_context would wait otherwise, although there is something left to do.
    if (next_ < fetched_) boost::asio::post(io_, [] {});
}

void Poller::fetch(int milliseconds) {
    if (milliseconds != 0) turn_->store(0, std::memory_order_relaxed);
    const int count = ::epoll_wait(set_, events_.data(), static_cast<int>(events_.size()), milliseconds);
    turn_->store(telemetry::monotonic_ns(), std::memory_order_relaxed);
    next_ = 0;
    fetched_ = count > 0 ? static_cast<std::size_t>(count) : 0;
}

/// Any handler may end this descriptor's owner or another's, so the place is looked at before each.
void Poller::deliver(const epoll_event& event) {
    constexpr std::array<std::uint32_t, 2> kTelling = {EPOLLIN | kEnd, EPOLLOUT | EPOLLHUP | EPOLLERR};
    const auto place = static_cast<std::uint32_t>(event.data.u64);
    const auto generation = static_cast<std::uint32_t>(event.data.u64 >> 32);
    if (places_[place].generation == generation && places_[place].watch) return (*places_[place].watch)();
    for (std::size_t direction = 0; direction < kTelling.size(); ++direction) {
        Entry* const entry = places_[place].entry;
        if (!entry || places_[place].generation != generation) return;
        if (event.events & kEnd) entry->ended = true;
        if (!(event.events & kTelling[direction])) continue;
        if (!entry->waiting[direction]) {
            entry->ready[direction] = true;
            continue;
        }
        Waiting handler = std::move(entry->waiting[direction]);
        handler(error_code());
    }
}

// ---- descriptors

void PolledSocket::close() noexcept {
    if (entry_->descriptor < 0) return;
    poller_->forget(entry_->place);
    ::close(std::exchange(entry_->descriptor, -1));
    abandon();
}

int PolledSocket::release() {
    if (entry_->descriptor < 0) return -1;
    poller_->remove(entry_->descriptor, entry_->place);
    const int descriptor = std::exchange(entry_->descriptor, -1);
    abandon();
    return descriptor;
}

void PolledSocket::abandon() {
    for (auto& waiting : entry_->waiting)
        if (waiting)
            boost::asio::post(get_executor(), [handler = std::move(waiting)]() mutable {
                handler(boost::asio::error::operation_aborted);
            });
}

DescriptorWatch::DescriptorWatch(Poller& poller, int descriptor, How how, std::function<void()> ready)
    : poller_(poller), descriptor_(descriptor), how_(how), ready_(std::move(ready)) {
    resume();
}

void DescriptorWatch::pause() {
    poller_.remove(descriptor_, place_);
}

void DescriptorWatch::resume() {
    if (!paused()) return;
    place_ = poller_.add(descriptor_, static_cast<std::uint32_t>(how_));
    poller_.places_[place_].watch = &ready_;
}

}  // namespace signalbox::server
