#include "agent/service/history.hpp"

#include <utility>

namespace signalbox::service {

void History::add(wire::WallTime end, Frame finest) {
    bytes_ += finest->size();
    entries_.push_back({end, std::move(finest)});
    while (!entries_.empty() && (bytes_ > kBytes || entries_.front().end <= end - kSpan)) {
        bytes_ -= entries_.front().finest->size();
        entries_.pop_front();
    }
}

std::vector<Frame> History::since(wire::WallTime instant) const {
    std::vector<Frame> frames;
    for (const Entry& entry : entries_)
        if (entry.end > instant) frames.push_back(entry.finest);
    return frames;
}

}  // namespace signalbox::service
