// The recent past of the base feed, so that a console which connects or reconnects is filled in.
//
// Ticks are kept as frames at the finest scale: sparse, and a tenth of what they take as values. At most 5
// minutes and 16 MiB. Each has pages of its own, which go back to the kernel with it: strings of every length, which live for
// minutes between others that live for moments, would take half as much again, and ever more.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <string_view>
#include <vector>

#include "agent/service/frame.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::service {

class History {
public:
    static constexpr std::chrono::minutes kSpan{5};
    static constexpr std::size_t kBytes = std::size_t{16} << 20;

    /// `finest` is the tick at worker granularity and the finest scale. In ascending order.
    void add(wire::WallTime end, std::string_view finest);

    /// The ticks that ended after `instant`, oldest first. They stay what they are as long as somebody has them.
    std::vector<Frame> since(wire::WallTime instant) const;

    std::size_t size() const { return entries_.size(); }
    std::size_t bytes() const { return bytes_; }

private:
    struct Entry {
        wire::WallTime end;
        Frame finest;
    };
    std::deque<Entry> entries_;
    std::size_t bytes_ = 0;
};

}  // namespace signalbox::service
