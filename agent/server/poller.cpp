#include "agent/server/poller.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/error.hpp>
#include <cerrno>
#include <system_error>

#include "agent/telemetry/seat.hpp"

namespace signalbox::server {

namespace {

constexpr std::uint32_t kBothWays = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

int checked(int descriptor, const char* what) {
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), what);
    return descriptor;
}

}  // namespace

Poller::Poller(boost::asio::io_context& io)
    : io_(io),
      set_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      unwatched_(checked(::fcntl(set_, F_DUPFD_CLOEXEC, 0), "dup")) {}

Poller::~Poller() {
    if (unwatched_ >= 0) ::close(unwatched_);
    ::close(set_);
}

epoll_event Poller::both_ways(std::uint32_t place) const {
    return {.events = kBothWays, .data = {.u64 = std::uint64_t{places_[place].generation} << 32 | place}};
}

void Poller::add(Entry& entry) {
    if (vacant_.empty()) {
        vacant_.push_back(static_cast<std::uint32_t>(places_.size()));
        places_.emplace_back();
    }
    const std::uint32_t place = vacant_.back();
    epoll_event event = both_ways(place);
    if (::epoll_ctl(set_, EPOLL_CTL_ADD, entry.descriptor, &event) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    vacant_.pop_back();
    places_[place].entry = &entry;
    entry.place = place;
    if (unwatched_ >= 0) wait(std::make_shared<Watched>(get_executor(), std::exchange(unwatched_, -1)));
}

/// Registering anew makes the kernel tell again what it has told.
void Poller::look_again(const Entry& entry) {
    epoll_event event = both_ways(entry.place);
    ::epoll_ctl(set_, EPOLL_CTL_MOD, entry.descriptor, &event);
}

void Poller::forget(Entry& entry) {
    if (entry.place == kNowhere) return;
    places_[entry.place] = {nullptr, places_[entry.place].generation + 1};
    vacant_.push_back(std::exchange(entry.place, kNowhere));
}

void Poller::remove(Entry& entry) {
    if (entry.place == kNowhere) return;
    ::epoll_ctl(set_, EPOLL_CTL_DEL, entry.descriptor, nullptr);
    forget(entry);
}

void Poller::wait(std::shared_ptr<Watched> watched) {
    Watched& set = *watched;
    set.async_wait(Watched::wait_read, [this, watched = std::move(watched)](const error_code& ec) mutable {
        if (!ec) take_turn(std::move(watched));
    });
}

void Poller::take_turn(std::shared_ptr<Watched> watched) {
    if (next_ == fetched_) {
        const int count = ::epoll_wait(set_, events_.data(), static_cast<int>(events_.size()), 0);
        next_ = 0;
        fetched_ = count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    for (const std::uint64_t began = telemetry::monotonic_ns(); next_ < fetched_;) {
        deliver(events_[next_++]);
        if (telemetry::monotonic_ns() - began > kTurnNanoseconds) break;
    }
    if (next_ == fetched_) return wait(std::move(watched));
    boost::asio::post(io_, [this, watched = std::move(watched)]() mutable { take_turn(std::move(watched)); });
}

void Poller::abandon_all() {
    for (std::size_t place = 0; place < places_.size(); ++place)
        for (std::size_t direction = 0; direction < 2; ++direction)
            if (Entry* const entry = places_[place].entry)
                const Waiting abandoned = std::move(entry->waiting[direction]);
}

/// Any handler may end this socket or another, so the place is looked at before each.
void Poller::deliver(const epoll_event& event) {
    constexpr std::array<std::uint32_t, 2> kTelling = {EPOLLIN | kEnd, EPOLLOUT | EPOLLHUP | EPOLLERR};
    const auto place = static_cast<std::uint32_t>(event.data.u64);
    const auto generation = static_cast<std::uint32_t>(event.data.u64 >> 32);
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

void PolledSocket::close() noexcept {
    if (entry_->descriptor < 0) return;
    poller_->forget(*entry_);
    ::close(std::exchange(entry_->descriptor, -1));
    abandon();
}

int PolledSocket::release() {
    if (entry_->descriptor < 0) return -1;
    poller_->remove(*entry_);
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

}  // namespace signalbox::server
