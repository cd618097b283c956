#include "tests/bench/open_loop.hpp"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

namespace bench {

namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

timespec timespec_of(std::chrono::nanoseconds time) {
    time = std::max(time, std::chrono::nanoseconds(0));
    return {.tv_sec = time.count() / 1'000'000'000, .tv_nsec = time.count() % 1'000'000'000};
}

class Client {
public:
    Client(std::uint16_t port, const std::string& request)
        : request_(request), poller_(::epoll_create1(EPOLL_CLOEXEC)) {
        if (poller_ < 0) fail("epoll_create1");
        address_.sin_family = AF_INET;
        address_.sin_port = htons(port);
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    ~Client() {
        for (const int socket : sockets_)
            if (socket >= 0) ::close(socket);
        ::close(poller_);
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void begin() {
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (socket < 0) fail("socket of a client");
        attempts_.push_back({.began = Clock::now()});
        sockets_.push_back(socket);
        ++open_;
        epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = attempts_.size() - 1}};
        if (::epoll_ctl(poller_, EPOLL_CTL_ADD, socket, &event) != 0) fail("epoll_ctl");
        if (::connect(socket, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0 &&
            errno != EINPROGRESS)
            end(attempts_.size() - 1, Attempt::End::refused);
    }

    void wait_until(Clock::time_point time) {
        do {
            const timespec left = timespec_of(time - Clock::now());
            epoll_event events[64];
            const int count = ::epoll_pwait2(poller_, events, 64, &left, nullptr);
            for (int i = 0; i < count; ++i)
                look_at(events[i].data.u64, events[i].events);
        } while (open_ > 0 && Clock::now() < time);
    }

    std::size_t open() const { return open_; }
    std::vector<Attempt> attempts() && { return std::move(attempts_); }

private:
    void look_at(std::size_t index, unsigned events) {
        const int socket = sockets_[index];
        if (socket < 0) return;
        if (events & EPOLLIN) {
            char answer[512];
            const ssize_t size = ::recv(socket, answer, sizeof answer, 0);
            if (size < 0 && errno == EAGAIN) return;
            const std::string_view begun(answer, size > 0 ? static_cast<std::size_t>(size) : 0);
            return end(index,
                       begun.starts_with("HTTP/1.1 200") ? Attempt::End::served : Attempt::End::refused);
        }
        if (events & (EPOLLERR | EPOLLHUP)) return end(index, Attempt::End::refused);
        // A new socket is ready for writing only once.
        ::send(socket, request_.data(), request_.size(), MSG_NOSIGNAL);
    }

    void end(std::size_t index, Attempt::End how) {
        attempts_[index].took = Clock::now() - attempts_[index].began;
        attempts_[index].end = how;
        ::close(sockets_[index]);
        sockets_[index] = -1;
        --open_;
    }

    const std::string& request_;
    const int poller_;
    sockaddr_in address_{};
    std::vector<Attempt> attempts_;
    std::vector<int> sockets_;  ///< by attempt; -1: closed
    std::size_t open_ = 0;
};

}  // namespace

std::vector<Attempt> OpenLoop::run() const {
    Client client(port, request);
    const auto begin = Clock::now();
    const auto count = static_cast<std::size_t>(rate * static_cast<double>(duration.count()) / 1000);
    for (std::size_t i = 0; i < count; ++i) {
        const auto due = begin + std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double>(static_cast<double>(i) / rate));
        while (Clock::now() < due)
            client.wait_until(due);
        client.begin();
    }
    const auto last = Clock::now() + patience;
    if (client.open() > 0) client.wait_until(last);
    return std::move(client).attempts();
}

Attempt attempt(std::uint16_t port, const std::string& request, std::chrono::milliseconds patience) {
    Client client(port, request);
    client.begin();
    client.wait_until(Clock::now() + patience);
    return std::move(client).attempts().front();
}

double milliseconds(const std::vector<Attempt>& attempts, Attempt::End end, double quantile) {
    std::vector<double> times;
    for (const Attempt& attempt : attempts)
        if (attempt.end == end)
            times.push_back(std::chrono::duration<double, std::milli>(attempt.took).count());
    if (times.empty()) return 0;
    const auto rank = static_cast<std::size_t>(quantile * static_cast<double>(times.size() - 1) + 0.5);
    std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(rank), times.end());
    return times[rank];
}

}  // namespace bench
