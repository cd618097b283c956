#include "agent/server/worker_context.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace signalbox::server {

namespace {

/// One look at all connections frees so many descriptors that the next look can wait.
constexpr std::size_t kMakeWay = 32;
/// A request that is on its way is here by then.
constexpr std::uint64_t kLeastWait = 1'000'000'000;

}  // namespace

void WorkerContext::count(End end) {
    switch (end) {
        case End::served:
            return metrics.served.add();
        case End::client:
            return metrics.failed_client.add();
        case End::deadline:
            return metrics.failed_deadline.add();
        case End::handler:
            return metrics.failed_handler.add();
        case End::transport:
            return metrics.failed_transport.add();
        case End::worker_ended:
            return metrics.failed_worker_ended.add();
        case End::shed:
            return metrics.shed_to_make_room.add();
        case End::handed_on:
            return;
    }
}

void WorkerContext::make_room(std::uint64_t now) {
    std::vector<std::pair<std::uint64_t, OpenConnection*>> waiting;
    for (OpenConnection& connection : connections)
        if (const std::uint64_t since = connection.waits_since(); since != 0 && now > since + kLeastWait)
            waiting.emplace_back(since, &connection);
    const auto count = std::min(kMakeWay, waiting.size());
    const auto last = waiting.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(waiting.begin(), last, waiting.end());
    // None of these ends another one.
    for (auto next = waiting.begin(); next != last; ++next)
        next->second->make_way(now);
}

}  // namespace signalbox::server
