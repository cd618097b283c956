#include "agent/server/exclusive_wait.hpp"

#include <sys/epoll.h>

#include <charconv>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace signalbox::server {

namespace {

/// What the epoll has been told to give back with an event of that descriptor: "tfd:       12 events: 8000001b data:
/// 55d0f1e3a2c0 pos:0 ino:1f sdev:8"; see proc(5).
std::optional<std::uint64_t> data_of(const std::filesystem::path& epoll, int descriptor) {
    std::ifstream lines(epoll);
    for (std::string line; std::getline(lines, line);) {
        int watched = -1;
        unsigned events = 0;
        std::uint64_t data = 0;
        if (std::sscanf(line.c_str(), "tfd: %d events: %x data: %" SCNx64, &watched, &events, &data) == 3 &&
            watched == descriptor)
            return data;
    }
    return std::nullopt;
}

}  // namespace

bool wait_exclusively(int descriptor) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo", error)) {
        const auto data = data_of(entry.path(), descriptor);
        if (!data) continue;
        const std::string name = entry.path().filename();
        int epoll = -1;
        std::from_chars(name.data(), name.data() + name.size(), epoll);
        epoll_event event{.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, .data = {.u64 = *data}};
        ::epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nullptr);
        if (::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0) return true;
        event.events = EPOLLIN | EPOLLET;
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
        return false;
    }
    return false;
}

}  // namespace signalbox::server
