#include "agent/telemetry/directory.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "agent/telemetry/seat.hpp"

namespace signalbox::telemetry {
namespace {

bool is_name(std::string_view name) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    return !name.empty() && letter(name.front()) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

template <std::size_t N>
std::string_view field(const char (&text)[N]) {
    return {text, ::strnlen(text, N)};
}

template <std::size_t N>
void fill(char (&field)[N], std::string_view text, std::string_view what, std::string_view name) {
    if (text.size() >= N)
        throw std::invalid_argument(fmt::format("instrument {}: its {} has {} bytes, at most {} fit", name,
                                                what, text.size(), N - 1));
    std::memcpy(field, text.data(), text.size());
}

std::string flatten(const Labels& labels, std::string_view name) {
    std::string text;
    for (const auto& [label, value] : labels) {
        if (!is_name(label) || value.find('\n') != std::string::npos)
            throw std::invalid_argument(
                fmt::format("instrument {}: label {}=\"{}\": a label's name is letters, digits and "
                            "_, its value one line",
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

/// Another process is writing the entry: waits for it, but not for one that died there.
bool becomes_ready(const DirectoryEntry& entry) {
    const std::uint64_t deadline = monotonic_ns() + 100'000'000;
    while (entry.state.load(std::memory_order_acquire) == static_cast<std::uint32_t>(EntryState::claimed)) {
        if (monotonic_ns() > deadline) return false;
        sched_yield();
    }
    return true;
}

Cells take_cells(Segment& segment, const Descriptor& descriptor) {
    const Geometry& g = segment.geometry();
    const auto take = [&](AtomicHalf& taken, std::size_t bytes, std::uint32_t limit, std::string_view what) {
        const std::uint32_t offset =
            taken.fetch_add(static_cast<std::uint32_t>(bytes), std::memory_order_relaxed);
        if (offset + bytes > limit) {
            taken.fetch_sub(static_cast<std::uint32_t>(bytes), std::memory_order_relaxed);
            throw std::length_error(
                fmt::format("instrument {}: no room for more {}; raise TelemetryOptions::{}", descriptor.name,
                            what, what));
        }
        return offset;
    };
    // Every head has a cache line of its own, so that two instruments never share one.
    Cells cells;
    cells.head_offset =
        take(segment.header().heads_taken, sizeof(detail::DistributionHead), g.heads_bytes, "instruments");
    if (descriptor.kind == wire::InstrumentKind::distribution)
        cells.buckets_offset =
            g.heads_bytes + take(segment.header().buckets_taken, sizeof(detail::DistributionBuckets),
                                 g.lane_bytes - g.heads_bytes, "distributions");
    return cells;
}

}  // namespace

Cells register_instrument(Segment& segment, const Descriptor& descriptor) {
    if (!is_name(descriptor.name))
        throw std::invalid_argument(fmt::format(
            "instrument name '{}': use letters, digits and _, not starting with a digit", descriptor.name));
    if (descriptor.kind == wire::InstrumentKind::counter && !descriptor.name.ends_with("_total"))
        throw std::invalid_argument(
            fmt::format("counter '{0}': a counter's name ends in _total; try '{0}_total'", descriptor.name));
    const std::string labels = flatten(descriptor.labels, descriptor.name);

    for (std::uint32_t i = 0; i < segment.geometry().directory_capacity; ++i) {
        DirectoryEntry& entry = segment.entry(i);
        auto vacant = static_cast<std::uint32_t>(EntryState::vacant);
        if (entry.state.load(std::memory_order_acquire) == vacant &&
            entry.state.compare_exchange_strong(vacant, static_cast<std::uint32_t>(EntryState::claimed))) {
            try {
                fill(entry.name, descriptor.name, "name", descriptor.name);
                fill(entry.unit, descriptor.unit, "unit", descriptor.name);
                fill(entry.help, descriptor.help, "help", descriptor.name);
                fill(entry.labels, labels, "label set", descriptor.name);
                const Cells cells = take_cells(segment, descriptor);
                entry.kind = static_cast<std::uint32_t>(descriptor.kind);
                entry.aggregation = static_cast<std::uint32_t>(descriptor.aggregation);
                entry.head_offset = cells.head_offset;
                entry.buckets_offset = cells.buckets_offset;
                entry.ticks_per_unit = descriptor.ticks_per_unit;
                entry.state.store(static_cast<std::uint32_t>(EntryState::ready), std::memory_order_release);
                return cells;
            } catch (...) {
                std::memset(entry.name, 0,
                            sizeof entry.name + sizeof entry.unit + sizeof entry.help + sizeof entry.labels);
                entry.state.store(static_cast<std::uint32_t>(EntryState::vacant), std::memory_order_release);
                throw;
            }
        }
        if (!becomes_ready(entry) || field(entry.name) != descriptor.name) continue;
        if (entry.kind != static_cast<std::uint32_t>(descriptor.kind))
            throw std::invalid_argument(
                fmt::format("instrument {} is registered already, as another kind", descriptor.name));
        if (field(entry.labels) == labels) return {entry.head_offset, entry.buckets_offset};
    }
    throw std::length_error(
        fmt::format("instrument {}: the directory's {} entries are taken; raise "
                    "TelemetryOptions::instruments",
                    descriptor.name, segment.geometry().directory_capacity));
}

std::optional<CheckedEntry> check_entry(const DirectoryEntry& entry, std::uint32_t index, const Geometry& g) {
    if (entry.state.load(std::memory_order_acquire) != static_cast<std::uint32_t>(EntryState::ready))
        return {};
    CheckedEntry checked;
    checked.instrument.index = index;
    checked.instrument.kind = static_cast<wire::InstrumentKind>(entry.kind);
    checked.instrument.aggregation = static_cast<wire::Aggregation>(entry.aggregation);
    checked.cells = {entry.head_offset, entry.buckets_offset};
    checked.ticks_per_unit = entry.ticks_per_unit;

    const auto [head, buckets] = checked.cells;
    constexpr std::uint32_t line = sizeof(detail::DistributionHead);
    if (entry.kind < 1 || entry.kind > 3 || entry.aggregation > 1) return {};
    if (head % line != 0 || head > g.heads_bytes - line) return {};
    if (checked.instrument.kind == wire::InstrumentKind::distribution) {
        constexpr std::uint32_t size = sizeof(detail::DistributionBuckets);
        if (buckets % kPage != 0 || buckets < g.heads_bytes || g.lane_bytes < size ||
            buckets > g.lane_bytes - size)
            return {};
        if (!std::isfinite(checked.ticks_per_unit) || checked.ticks_per_unit <= 0) return {};
    }
    checked.instrument.name = field(entry.name);
    checked.instrument.unit = field(entry.unit);
    checked.instrument.help = field(entry.help);
    checked.instrument.labels = unflatten(field(entry.labels));
    if (!is_name(checked.instrument.name)) return {};
    return checked;
}

}  // namespace signalbox::telemetry
