// The directory: which instruments there are, and where their cells lie. Append-only, in shared memory; any
// process of the group may register, without a lock.
#pragma once

#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>

#include "agent/telemetry/segment.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::telemetry {

/// Where an instrument's parts lie. Of a counter or gauge just the head, of a Distinct just the block, of heavy
/// hitters a block and, as head, a word that is not 0 once the block is used.
struct InstrumentCell : detail::DistributionCell {
    std::uint32_t block_offset = 0;
    std::uint32_t precision = 0;
};

/// What an instrument is, before it has cells.
struct Descriptor {
    wire::InstrumentKind kind;
    wire::Aggregation aggregation = wire::Aggregation::sum;
    std::string_view name;
    std::string_view unit{};
    std::string_view help{};
    const Labels& labels;
    double ticks_per_unit = 1;
    DistributionShape shape = DistributionShape::plain;
    unsigned precision = 0;
    std::source_location defined_at = std::source_location::current();
};

/// Fit for a label's value: one line of UTF-8, without control characters.
bool is_label_value(std::string_view text) noexcept;

/// What all labels of an instrument may take together: with `name=` and one byte for each.
inline constexpr std::size_t kMaxLabelBytes = sizeof(DirectoryEntry::labels) - 1;

/// Finds the instrument of that name and those labels, or appends it, and says where its cells lie in every
/// lane. Throws std::invalid_argument (bad name or label; registered already as something else, and where) or
/// std::length_error (directory or cells full).
InstrumentCell register_instrument(Segment& segment, const Descriptor& descriptor);

/// What a reader takes from an entry: copied and checked, or nothing if it is not ready or makes no sense.
struct CheckedEntry {
    wire::Instrument instrument;  ///< `index` is the entry's
    InstrumentCell cell;
    std::string defined_at;
    double ticks_per_unit = 1;
    DistributionShape shape = DistributionShape::plain;
};
std::optional<CheckedEntry> check_entry(const DirectoryEntry& entry, std::uint32_t index,
                                        const Geometry& geometry);

}  // namespace signalbox::telemetry
