#include "agent/telemetry/directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include "agent/telemetry/registration.hpp"
#include "common/sketch/space_saving.hpp"
#include "common/sketch/ultra_log_log_registers.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::telemetry {
namespace {

bool is_name(std::string_view name) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    return !name.empty() && letter(name.front()) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

template <std::size_t N>
void fill(char (&field)[N], std::string_view text, std::string_view what, std::string_view name) {
    if (text.size() >= N)
        throw std::invalid_argument(fmt::format("instrument {}: its {} has {} bytes, at most {} fit", name,
                                                what, text.size(), N - 1));
    text.copy(field, N);  // not memcpy: a view of nothing has no address
}

std::string flatten(const Labels& labels, std::string_view name) {
    std::string text;
    for (const auto& [label, value] : labels) {
        if (!is_name(label) || !is_label_value(value))
            throw std::invalid_argument(fmt::format(
                "instrument {}: a label's name is letters, digits and _, its value one line of UTF-8 "
                "without control characters; not so {}=\"{}\"",
                name, label, value));
        text += label + '=' + value + '\n';
    }
    return text;
}

Labels unflatten(std::string_view text) {
    Labels labels;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (const std::size_t equals = line.find('='); equals != std::string_view::npos)
            labels.emplace_back(line.substr(0, equals), line.substr(equals + 1));
    }
    return labels;
}

std::size_t head_bytes(DistributionShape shape) {
    switch (shape) {
        case DistributionShape::plain:
            break;
        case DistributionShape::two_sided:
            return 2 * sizeof(detail::DistributionHead);
        case DistributionShape::interval:
            return sizeof(detail::DistributionHead) + sizeof(detail::Word);
    }
    return sizeof(detail::DistributionHead);
}

InstrumentCell take_cells(Segment& segment, const Descriptor& descriptor) {
    const Geometry& g = segment.geometry();
    const auto take = [&](AtomicHalf& taken, std::size_t bytes, std::size_t alignment, std::uint32_t limit,
                          std::string_view what) {
        std::uint32_t before = taken.load(std::memory_order_relaxed);
        for (;;) {
            const std::size_t offset = (before + alignment - 1) / alignment * alignment;
            if (offset + bytes > limit)
                throw std::length_error(
                    fmt::format("instrument {}: no room for more {}; raise TelemetryOptions::{}",
                                descriptor.name, what, what));
            if (taken.compare_exchange_weak(before, static_cast<std::uint32_t>(offset + bytes),
                                            std::memory_order_relaxed))
                return static_cast<std::uint32_t>(offset);
        }
    };
    InstrumentCell cell;
    Header& header = segment.header();
    if (descriptor.kind == wire::InstrumentKind::distinct) {
        cell.precision = descriptor.precision;
        cell.block_offset = take(header.registers_taken, DistinctBlock::bytes(descriptor.precision),
                                 kRegistersAlignment, g.registers_bytes, "distincts");
        return cell;
    }
    if (descriptor.kind == wire::InstrumentKind::heavy_hitters) {
        cell.block_offset = g.tables_start + take(header.tables_taken, sizeof(sketch::SpaceSavingTable),
                                                  alignof(sketch::SpaceSavingTable),
                                                  g.lane_bytes - g.tables_start, "heavy_hitters");
        cell.head_offset = take(header.heads_taken, sizeof(detail::Word), sizeof(detail::Word),
                                g.samples_start, "instruments");
        return cell;
    }
    if (descriptor.kind != wire::InstrumentKind::distribution) {
        // Of a gauge whose last value counts, the time follows the value.
        const std::size_t words = descriptor.aggregation == wire::Aggregation::last ? 2 : 1;
        // Dense, since nearly all lanes have one writer; in the shared one neighbours may compete.
        cell.head_offset = take(header.heads_taken, words * sizeof(detail::Word), sizeof(detail::Word),
                                g.samples_start, "instruments");
        return cell;
    }
    cell.units_per_tick = 1 / descriptor.ticks_per_unit;
    cell.is_signed = descriptor.shape == DistributionShape::two_sided;
    const std::size_t sides = cell.is_signed ? 2 : 1;
    cell.buckets_offset =
        g.buckets_start + take(header.buckets_taken, sides * sizeof(detail::DistributionBuckets), kPage,
                               g.tables_start - g.buckets_start, "distributions");
    cell.samples_offset = g.samples_start + take(header.samples_taken, sizeof(detail::SampleRing), 64,
                                                 g.buckets_start - g.samples_start, "distributions");
    cell.head_offset = take(header.heads_taken, head_bytes(descriptor.shape),
                            alignof(detail::DistributionHead), g.samples_start, "instruments");
    return cell;
}

std::string place_of(const std::source_location& location) {
    return telemetry::place_of(location, sizeof(DirectoryEntry::defined_at));
}

[[noreturn]] void refuse(const Descriptor& descriptor, const DirectoryEntry& entry, std::string_view as) {
    throw std::invalid_argument(
        fmt::format("instrument {} is registered already, as {}, at {}; give this one (at {}) another name",
                    descriptor.name, as, field(entry.defined_at), place_of(descriptor.defined_at)));
}

/// What an entry's kind is called in messages.
std::string_view kind_name(std::uint32_t kind) {
    switch (static_cast<wire::InstrumentKind>(kind)) {
        case wire::InstrumentKind::counter:
            return "a counter";
        case wire::InstrumentKind::gauge:
            return "a gauge";
        case wire::InstrumentKind::distribution:
            return "a distribution";
        case wire::InstrumentKind::distinct:
            return "a distinct";
        case wire::InstrumentKind::heavy_hitters:
            return "heavy hitters";
    }
    return "something else";
}

void describe(DirectoryEntry& entry, const Descriptor& descriptor, std::string_view labels) {
    fill(entry.name, descriptor.name, "name", descriptor.name);
    fill(entry.unit, descriptor.unit, "unit", descriptor.name);
    fill(entry.help, descriptor.help, "help", descriptor.name);
    fill(entry.labels, labels, "label set", descriptor.name);
    fill(entry.defined_at, place_of(descriptor.defined_at), "place", descriptor.name);
    entry.kind = static_cast<std::uint32_t>(descriptor.kind);
    entry.aggregation = static_cast<std::uint32_t>(descriptor.aggregation);
    entry.ticks_per_unit = descriptor.ticks_per_unit;
    entry.shape = static_cast<std::uint32_t>(descriptor.shape);
}

void place(DirectoryEntry& entry, const InstrumentCell& cell) {
    entry.head_offset = cell.head_offset;
    entry.buckets_offset = cell.buckets_offset;
    entry.samples_offset = cell.samples_offset;
    entry.block_offset = cell.block_offset;
    entry.precision = cell.precision;
}

InstrumentCell cell_of(const DirectoryEntry& entry) {
    return {{entry.head_offset, entry.buckets_offset, 1 / entry.ticks_per_unit, entry.samples_offset,
             entry.shape == static_cast<std::uint32_t>(DistributionShape::two_sided)},
            entry.block_offset,
            entry.precision};
}

}  // namespace

bool is_label_value(std::string_view text) noexcept {
    const auto control = [](unsigned char c) { return c < ' ' || c == 0x7f; };
    return wire::is_utf8(text) && std::none_of(text.begin(), text.end(), control);
}

InstrumentCell register_instrument(Segment& segment, const Descriptor& descriptor) {
    if (!is_name(descriptor.name))
        throw std::invalid_argument(fmt::format(
            "instrument name '{}': use letters, digits and _, not starting with a digit", descriptor.name));
    if (descriptor.kind == wire::InstrumentKind::counter && !descriptor.name.ends_with("_total"))
        throw std::invalid_argument(
            fmt::format("counter '{0}': a counter's name ends in _total; try '{0}_total'", descriptor.name));
    const std::string labels = flatten(descriptor.labels, descriptor.name);

    std::optional<InstrumentCell> cell;  // taken once, even if the claim on the entry is lost
    for (std::uint32_t i = 0; i < segment.geometry().directory_capacity; ++i) {
        DirectoryEntry& entry = segment.entry(i);
        if (Claim claim(entry.state); claim) {
            try {
                describe(entry, descriptor, labels);
                if (!cell) cell = take_cells(segment, descriptor);
            } catch (...) {
                std::memset(&entry.kind, 0, sizeof entry - offsetof(DirectoryEntry, kind));
                claim.give_back();
                throw;
            }
            place(entry, *cell);
            if (claim.publish()) return *cell;
            continue;
        }
        if (state_of(entry.state) != EntryState::ready || field(entry.name) != descriptor.name) continue;
        if (entry.kind != static_cast<std::uint32_t>(descriptor.kind))
            refuse(descriptor, entry, kind_name(entry.kind));
        if (entry.aggregation != static_cast<std::uint32_t>(descriptor.aggregation))
            refuse(descriptor, entry, "merged in another way");
        if (field(entry.unit) != descriptor.unit)
            refuse(descriptor, entry, fmt::format("in {}", field(entry.unit)));
        if (descriptor.kind == wire::InstrumentKind::distribution &&
            (entry.ticks_per_unit != descriptor.ticks_per_unit ||
             entry.shape != static_cast<std::uint32_t>(descriptor.shape)))
            refuse(descriptor, entry, "with another resolution or shape");
        if (entry.precision != descriptor.precision) refuse(descriptor, entry, "with another precision");
        if (field(entry.labels) == labels) return cell_of(entry);
    }
    throw std::length_error(
        fmt::format("instrument {}: the directory's {} entries are taken; raise "
                    "TelemetryOptions::instruments",
                    descriptor.name, segment.geometry().directory_capacity));
}

std::optional<CheckedEntry> check_entry(const DirectoryEntry& shared, std::uint32_t index,
                                        const Geometry& g) {
    if (state_of(shared.state) != EntryState::ready) return {};
    // What is checked must be what is used, whoever scribbles over the entry meanwhile.
    alignas(DirectoryEntry) std::byte copy[sizeof(DirectoryEntry)];
    std::memcpy(copy, static_cast<const void*>(&shared), sizeof copy);
    const DirectoryEntry& entry = *reinterpret_cast<const DirectoryEntry*>(copy);
    CheckedEntry checked;
    checked.instrument.index = index;
    checked.instrument.kind = static_cast<wire::InstrumentKind>(entry.kind);
    checked.instrument.aggregation = static_cast<wire::Aggregation>(entry.aggregation);
    checked.cell = cell_of(entry);
    checked.defined_at = field(entry.defined_at);
    checked.ticks_per_unit = entry.ticks_per_unit;
    checked.shape = static_cast<DistributionShape>(entry.shape);

    const InstrumentCell& cell = checked.cell;
    const auto lies = [](std::uint64_t offset, std::uint64_t bytes, std::uint64_t alignment,
                         std::uint64_t begin, std::uint64_t end) {
        return offset % alignment == 0 && offset >= begin && offset <= end && bytes <= end - offset;
    };
    const bool timed = checked.instrument.aggregation == wire::Aggregation::last;
    if (entry.kind < 1 || entry.kind > 5 || entry.aggregation > 2 || entry.shape > 2) return {};
    if (checked.instrument.kind == wire::InstrumentKind::distribution) {
        const std::uint64_t sides = cell.is_signed ? 2 : 1;
        if (!lies(cell.head_offset, head_bytes(static_cast<DistributionShape>(entry.shape)),
                  alignof(detail::DistributionHead), 0, g.samples_start) ||
            !lies(cell.samples_offset, sizeof(detail::SampleRing), 64, g.samples_start, g.buckets_start) ||
            !lies(cell.buckets_offset, sides * sizeof(detail::DistributionBuckets), kPage, g.buckets_start,
                  g.tables_start))
            return {};
        if (!std::isfinite(entry.ticks_per_unit) || entry.ticks_per_unit <= 0) return {};
    } else if (checked.instrument.kind == wire::InstrumentKind::distinct) {
        if (entry.precision < sketch::kLeastDistinctPrecision ||
            entry.precision > sketch::kMostDistinctPrecision ||
            !lies(cell.block_offset, DistinctBlock::bytes(entry.precision), kRegistersAlignment, 0,
                  g.registers_bytes))
            return {};
    } else if (checked.instrument.kind == wire::InstrumentKind::heavy_hitters) {
        if (!lies(cell.block_offset, sizeof(sketch::SpaceSavingTable), alignof(sketch::SpaceSavingTable),
                  g.tables_start, g.lane_bytes) ||
            !lies(cell.head_offset, sizeof(detail::Word), sizeof(detail::Word), 0, g.samples_start))
            return {};
    } else if (!lies(cell.head_offset, (timed ? 2 : 1) * sizeof(detail::Word), sizeof(detail::Word), 0,
                     g.samples_start)) {
        return {};
    }
    checked.instrument.name = field(entry.name);
    checked.instrument.unit = field(entry.unit);
    checked.instrument.help = field(entry.help);
    checked.instrument.labels = unflatten(field(entry.labels));
    if (!is_name(checked.instrument.name)) return {};
    return checked;
}

}  // namespace signalbox::telemetry
