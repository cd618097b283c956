// The recent past of the base feed, so that a console which connects or reconnects is filled in.
//
// Ticks are kept as frames at the finest scale: sparse, and a tenth of what they take as values. At most 5
// minutes and 16 MiB. They lie side by side in blocks that are used again when the youngest frame in them is too old: as
// strings of every length, with the room that each has grown by, they would take half as much again, and ever more.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "agent/service/frame.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::service {

class History {
public:
    static constexpr std::chrono::minutes kSpan{5};
    static constexpr std::size_t kBytes = std::size_t{16} << 20;
    static constexpr std::size_t kBlockBytes = std::size_t{256} << 10;

    /// `finest` is the tick at worker granularity and the finest scale. In ascending order.
    void add(wire::WallTime end, std::string_view finest);

    /// The ticks that ended after `instant`, oldest first. They stay what they are as long as somebody has them.
    std::vector<Frame> since(wire::WallTime instant) const;

    std::size_t size() const { return entries_.size(); }
    std::size_t bytes() const { return bytes_; }  ///< of the frames
    std::size_t block_bytes() const;              ///< of what they lie in

private:
    struct Block {
        explicit Block(std::size_t size) : bytes(new char[size]), capacity(size) {}
        std::unique_ptr<char[]> bytes;
        std::size_t capacity;
        std::size_t used = 0;
    };
    struct Entry {
        wire::WallTime end;
        Frame finest;
    };

    std::shared_ptr<Block> block_for(std::size_t size);

    std::deque<std::shared_ptr<Block>> blocks_;  ///< oldest first
    std::deque<Entry> entries_;
    std::size_t bytes_ = 0;
};

}  // namespace signalbox::service
