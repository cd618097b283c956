#include "agent/service/history.hpp"

#include <algorithm>
#include <utility>

namespace signalbox::service {

void History::add(wire::WallTime end, std::string_view finest) {
    const std::shared_ptr<Block> block = block_for(finest.size());
    char* const place = block->bytes.get() + block->used;
    std::copy(finest.begin(), finest.end(), place);
    block->used += finest.size();
    entries_.push_back({end, Frame(block, {place, finest.size()})});
    bytes_ += finest.size();
    while (!entries_.empty() && (bytes_ > kBytes || entries_.front().end <= end - kSpan)) {
        bytes_ -= entries_.front().finest.size();
        entries_.pop_front();
    }
    // One that nobody uses is kept for block_for().
    while (blocks_.size() > 2 && blocks_[0].use_count() == 1 && blocks_[1].use_count() == 1)
        blocks_.pop_front();
}

/// The newest, if it has that much room left, else one that nobody has a frame in any more, else a new one.
std::shared_ptr<History::Block> History::block_for(std::size_t size) {
    if (!blocks_.empty() && blocks_.back()->capacity - blocks_.back()->used >= size) return blocks_.back();
    std::shared_ptr<Block> spare;
    if (!blocks_.empty() && blocks_.front().use_count() == 1) {
        spare = std::move(blocks_.front());
        blocks_.pop_front();
    }
    if (!spare || spare->capacity < size) spare = std::make_shared<Block>(std::max(size, kBlockBytes));
    spare->used = 0;
    blocks_.push_back(std::move(spare));
    return blocks_.back();
}

std::vector<Frame> History::since(wire::WallTime instant) const {
    std::vector<Frame> frames;
    for (const Entry& entry : entries_)
        if (entry.end > instant) frames.push_back(entry.finest);
    return frames;
}

std::size_t History::block_bytes() const {
    std::size_t bytes = 0;
    for (const auto& block : blocks_)
        bytes += block->capacity;
    return bytes;
}

}  // namespace signalbox::service
