// What a subscriber gets of a tick: every worker or the group as one, at a scale.
#pragma once

#include <compare>
#include <map>
#include <string>
#include <string_view>

#include "common/wire/messages.hpp"

namespace signalbox::service {

enum class Granularity { worker, group };

struct Shape {
    Granularity granularity = Granularity::worker;
    int scale = 5;
    friend auto operator<=>(const Shape&, const Shape&) = default;
};

/// All instruments that are known, by index.
using Catalogue = std::map<std::uint32_t, wire::Instrument>;

/// All series of `tick` as one: counters add up, histograms merge, gauges are summed or maxed as the
/// catalogue says.
wire::Tick merged_into_group(const wire::Tick& tick, const Catalogue& catalogue);

/// `tick` in that shape, as a frame. Coarser than asked for if the frame would pass the format's limits.
std::string encode_shaped(const wire::Tick& tick, Shape shape, const Catalogue& catalogue);

/// A frame of encode_shaped() (worker granularity, finest scale) in another shape.
std::string reshape(std::string_view finest_frame, Shape shape, const Catalogue& catalogue);

}  // namespace signalbox::service
