// The recent past of the base feed, so that a console which connects or reconnects is filled in.
//
// Ticks are kept as frames at the finest scale: sparse, and a tenth of what they take as values. At most 5
// minutes and 16 MiB.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/wire/messages.hpp"

namespace signalbox::service {

/// Encoded once, shared by everyone it is sent to.
using Frame = std::shared_ptr<const std::string>;

class History {
public:
    static constexpr std::chrono::minutes kSpan{5};
    static constexpr std::size_t kBytes = std::size_t{16} << 20;

    /// `finest` is the tick at worker granularity and the finest scale. In ascending order.
    void add(wire::WallTime end, Frame finest);

    /// The ticks that ended after `instant`, oldest first.
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
