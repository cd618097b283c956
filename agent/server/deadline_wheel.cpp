#include "agent/server/deadline_wheel.hpp"

#include <algorithm>

namespace signalbox::server {

void DeadlineWheel::link(Entry& entry) {
    entry.unlink();
    entry.place_ = std::clamp(entry.due_, turned_to_ + 1, turned_to_ + kPlaces - 1);
    places_[entry.place_ % kPlaces].push_back(entry);
}

void DeadlineWheel::turn(std::uint64_t tick, std::uint64_t now) {
    List here;
    here.swap(places_[tick % kPlaces]);
    while (!here.empty()) {
        Entry& entry = here.front();
        here.pop_front();
        if (entry.due_ > tick) {
            if (entry.due_ != UINT64_MAX) link(entry);
            continue;
        }
        entry.due_ = UINT64_MAX;
        entry.deadline_passed(now);
    }
}

void DeadlineWheel::advance(std::uint64_t now) {
    const std::uint64_t target = tick_of(now);
    if (target > turned_to_ + kPlaces) turned_to_ = target - kPlaces;  // one whole turn meets every place
    while (turned_to_ < target) {
        ++turned_to_;
        turn(turned_to_, now);
    }
}

}  // namespace signalbox::server
