#include "agent/telemetry/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "agent/telemetry/quarantine.hpp"
#include "agent/telemetry/retire.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint32_t kLargestPid = 1u << 22;
constexpr std::uint64_t kRingBytes = kEventRingRecords * sizeof(EventRecord);

struct Area {
    std::string_view name;
    std::uint64_t offset;
    std::uint64_t bytes;
};

void verify_disjoint(std::vector<Area> areas, Violations& violations) {
    std::sort(areas.begin(), areas.end(), [](const Area& a, const Area& b) { return a.offset < b.offset; });
    for (std::size_t i = 1; i < areas.size(); ++i)
        if (areas[i].offset < areas[i - 1].offset + areas[i - 1].bytes)
            violations.add(fmt::format("geometry: {} and {} overlap", areas[i - 1].name, areas[i].name));
}

void verify_geometry(const Geometry& g, Violations& violations) {
    const std::uint64_t retired = 2 * std::uint64_t{g.lane_bytes};
    const std::uint64_t lanes = g.lane_count * std::uint64_t{g.lane_bytes};
    verify_disjoint({{"the header", 0, sizeof(Header)},
                     {"the directory", g.directory_offset, g.directory_capacity * sizeof(DirectoryEntry)},
                     {"the group's part", g.group_offset, sizeof(Group)},
                     {"the group's events", g.group_ring_offset, kRingBytes},
                     {"the settings", g.settings_offset, g.settings_capacity * sizeof(SettingEntry)},
                     {"the kept crashes", g.crashes_offset, kKeptCrashes * kPage},
                     {"the retired lanes", g.retired_offset, retired},
                     {"the retired registers", g.retired_registers_offset, g.registers_bytes},
                     {"the seats", g.seats_offset, g.seat_stride * g.seat_count}},
                    violations);
    verify_disjoint(
        {{"a seat's record", 0, sizeof(Seat)},
         {"its crash", g.seat_crash_offset, sizeof(CrashRecord)},
         {"its connections", g.seat_connections_offset, kConnectionRecords * sizeof(ConnectionRecord)},
         {"its events", g.seat_ring_offset, kRingBytes},
         {"its actions", g.seat_actions_offset, kActionRingRecords * sizeof(EventRecord)},
         {"its lanes", g.seat_lanes_offset, lanes},
         {"its registers", g.seat_registers_offset, g.registers_bytes}},
        violations);
}

void verify_header(const SegmentView& view, Violations& violations) {
    const Header& h = view.header();
    const Geometry& g = view.geometry();
    violations.expect(
        h.header_bytes == sizeof(Header),
        fmt::format("header: it says that it has {} bytes, not {}", h.header_bytes, sizeof(Header)));
    violations.expect(std::memcmp(&h.geometry, &g, sizeof g) == 0,
                      "header: the geometry has changed since it was read");
    const std::string_view name(h.group_name, ::strnlen(h.group_name, sizeof h.group_name));
    violations.expect(!name.empty() && name.size() < sizeof h.group_name,
                      "header: the group's name is empty or not terminated");
    violations.expect(wire::is_utf8(name), "header: the group's name is not UTF-8");
    violations.expect(
        std::any_of(std::begin(h.boot_id), std::end(h.boot_id), [](auto byte) { return byte != 0; }),
        "header: the boot id is zero");
    violations.expect(h.created_wall_ns > 0 && h.created_monotonic_ns > 0,
                      "header: the time of creation is missing");
    const auto within = [&violations](const AtomicHalf& taken, std::uint32_t bytes, const char* what) {
        const std::uint32_t claimed = taken.load(relaxed);
        violations.expect(claimed <= bytes, fmt::format("header: {} bytes of {} are taken, there are {}",
                                                        claimed, what, bytes));
    };
    within(h.heads_taken, g.samples_start, "heads");
    within(h.samples_taken, g.buckets_start - g.samples_start, "samples");
    within(h.buckets_taken, g.tables_start - g.buckets_start, "buckets");
    within(h.tables_taken, g.lane_bytes - g.tables_start, "tables");
    within(h.registers_taken, g.registers_bytes, "registers");
}

void verify_directory(const SegmentView& view, Violations& violations) {
    const Geometry& g = view.geometry();
    std::uint32_t end = 0;
    while (!view.entry_is_vacant(end))
        ++end;
    for (std::uint32_t i = end; i < g.directory_capacity; ++i)
        violations.expect(view.entry_is_vacant(i),
                          fmt::format("directory entry {}: it is taken, though entry {} is vacant", i, end));

    std::map<std::string, wire::InstrumentKind> kinds;
    std::set<std::pair<std::string, wire::Labels>> names;
    const Header& h = view.header();
    const std::uint32_t heads_end = h.heads_taken.load(relaxed);
    const std::uint64_t samples_end = std::uint64_t{g.samples_start} + h.samples_taken.load(relaxed);
    const std::uint64_t buckets_end = std::uint64_t{g.buckets_start} + h.buckets_taken.load(relaxed);
    const std::uint64_t tables_end = std::uint64_t{g.tables_start} + h.tables_taken.load(relaxed);
    for (std::uint32_t i = 0; i < end; ++i) {
        const auto entry = view.entry(i);
        if (!entry) continue;  // find_faults() has said it
        const auto say = [&](const char* what) {
            violations.add(fmt::format("directory entry {}: {}", i, what));
        };
        const wire::Instrument& instrument = entry->instrument;
        const bool distribution = instrument.kind == wire::InstrumentKind::distribution;
        const bool distinct = instrument.kind == wire::InstrumentKind::distinct;
        if (!distinct && entry->cell.head_offset >= heads_end)
            say("its cell lies beyond those that are taken");
        if (distribution && entry->cell.samples_offset >= samples_end)
            say("its samples lie beyond those that are taken");
        if (distribution && entry->cell.buckets_offset >= buckets_end)
            say("its buckets lie beyond those that are taken");
        if (distinct && entry->cell.block_offset >= h.registers_taken.load(relaxed))
            say("its registers lie beyond those that are taken");
        if (instrument.kind == wire::InstrumentKind::heavy_hitters && entry->cell.block_offset >= tables_end)
            say("its table lies beyond those that are taken");
        if (kinds.emplace(instrument.name, instrument.kind).first->second != instrument.kind)
            say("an earlier entry of its name is of another kind");
        if (!names.emplace(instrument.name, instrument.labels).second)
            say("an earlier entry is the same instrument");
        if (instrument.kind == wire::InstrumentKind::counter && !instrument.name.ends_with("_total"))
            say("the name of a counter does not end in _total");
        if (!wire::is_utf8(instrument.help) || !wire::is_utf8(instrument.unit))
            say("its help or unit is not UTF-8");
    }
}

void verify_settings(const SegmentView& view, Violations& violations) {
    std::set<std::string> names;
    bool ended = false;
    for (std::uint32_t i = 0; i < view.geometry().settings_capacity; ++i) {
        const SettingEntry& entry = view.setting_entry(i);
        const EntryState state = state_of(entry.state);
        const auto say = [&](const char* what) { violations.add(fmt::format("setting {}: {}", i, what)); };
        if (state == EntryState::vacant) ended = true;
        if (ended && state != EntryState::vacant) say("it is taken behind a vacant one");
        if (state == EntryState::damaged) say("its state is none");
        if (state != EntryState::ready) continue;
        const auto setting = read_setting(entry, i);
        if (!setting) {
            say("its name, kind, type, role or range makes no sense");
            continue;
        }
        if (!setting->value && entry.sequence.load(relaxed) % 2 == 0) say("its value is out of its range");
        if (!names.insert(setting->name).second) say("an earlier one has its name");
        if (setting->value && !(wire::is_utf8(setting->value->text) && wire::is_utf8(setting->value->origin)))
            say("its value or origin is not UTF-8");
    }
}

void verify_group(const SegmentView& view, Violations& violations) {
    const Header& h = view.header();
    const GroupInfo group = view.group();
    const Geometry& g = view.geometry();
    violations.expect(
        group.arbiter_pid <= kLargestPid && group.agent_pid <= kLargestPid,
        fmt::format("group: no process has the pid {}", std::max(group.arbiter_pid, group.agent_pid)));
    violations.expect(
        group.target_workers <= g.slot_count,
        fmt::format("group: {} workers are wanted, there are {} slots", group.target_workers, g.slot_count));
    for (const ListenerInfo& listener : view.listeners()) {
        violations.expect(listener.port <= 65535,
                          fmt::format("listener {}: its port is {}", listener.index, listener.port));
        violations.expect(!listener.address.empty() && wire::is_utf8(listener.address),
                          fmt::format("listener {}: its address is empty or not UTF-8", listener.index));
    }
    const RetiredWord retired = RetiredWord::unpack(h.retired.load(std::memory_order_acquire));
    violations.expect(
        retired.seat < g.seat_count,
        fmt::format("header: the last seat that was retired is {}, of {}", retired.seat, g.seat_count));
    violations.expect(group.last_generation == 0 || retired.generation <= group.last_generation,
                      fmt::format("header: generation {} was retired, the newest is {}", retired.generation,
                                  group.last_generation));
}

void verify_seats(const SegmentView& view, Violations& violations) {
    const std::uint64_t newest = view.group().last_generation;
    std::map<std::uint64_t, unsigned> generations;
    std::map<std::uint32_t, unsigned> pids;
    for (unsigned i = 0; i < view.geometry().seat_count; ++i) {
        const Seat& seat = view.seat(i);
        const std::uint32_t pid = seat.pid.load(std::memory_order_acquire);
        if (pid == 0 || !seat_fault(view, i).empty()) continue;
        const auto say = [&](std::string_view what) { violations.add(fmt::format("seat {}: {}", i, what)); };
        const std::uint64_t generation = seat.generation.load(relaxed);
        if (newest != 0 && generation > newest)
            say(fmt::format("its generation is {}, the group's newest {}", generation, newest));
        if (const auto [other, fresh] = pids.emplace(pid, i); !fresh)
            say(fmt::format("it has the pid of seat {}", other->second));
        if (const auto [other, fresh] = generations.emplace(generation, i); !fresh && generation != 0)
            say(fmt::format("it has the generation of seat {}", other->second));
        if (const std::uint32_t length = seat.activity.length.load(relaxed);
            length > sizeof seat.activity.text)
            say(fmt::format("its activity has {} bytes", length));
        const std::uint32_t lanes = view.geometry().lane_count;
        const std::uint32_t used = seat.lanes_claimed.load(relaxed) | seat.lanes_touched.load(relaxed);
        if (lanes < 32 && used >> lanes != 0) say(fmt::format("it uses lanes beyond its {}", lanes));
        for (unsigned q = 0; q < kMaxListeners; ++q) {
            const std::uint64_t popped = seat.queues[q].popped.load(std::memory_order_acquire);
            if (popped > seat.queues[q].pushed.load(std::memory_order_acquire))
                say(fmt::format("more has left its accept queue {} than came in", q));
        }
    }
}

void verify_ring(const EventRingView& ring, const std::string& whose, Writers writers,
                 Violations& violations) {
    const std::uint64_t head = ring.head.load(std::memory_order_acquire);
    for (std::uint32_t i = 0; i < ring.size; ++i) {
        const EventRecord& record = ring.records[i];
        const std::uint64_t sequence = record.sequence.load(std::memory_order_acquire);
        if (sequence == 0) continue;
        const std::uint64_t number = (sequence - 1) / 2;
        const bool plausible = number % ring.size == i && (writers == Writers::busy || number < head);
        violations.expect(plausible,
                          fmt::format("{}: record {} has the sequence number {}", whose, i, sequence));
        if (!plausible || sequence % 2 != 0) continue;
        const std::uint32_t severity = record.nature.load(relaxed) & 0xff;
        const std::uint32_t sizes = record.sizes.load(relaxed);
        const std::uint32_t bytes = (sizes & 0xff) + (sizes >> 8 & 0xfff) + (sizes >> 20);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (record.sequence.load(relaxed) != sequence) continue;
        violations.expect(severity >= 1 && severity <= 4,
                          fmt::format("{}: record {} has the severity {}", whose, i, severity));
        violations.expect(bytes <= sizeof record.bytes,
                          fmt::format("{}: record {} has {} bytes of text", whose, i, bytes));
    }
}

void verify_rings(const SegmentView& view, Writers writers, Violations& violations) {
    verify_ring(view.group_ring(), "the group's events", writers, violations);
    for (unsigned i = 0; i < view.geometry().seat_count; ++i) {
        verify_ring(view.seat_ring(i), fmt::format("seat {}'s events", i), writers, violations);
        verify_ring(view.seat_actions(i), fmt::format("seat {}'s actions", i), writers, violations);
    }
}

}  // namespace

std::vector<std::string> verify(const SegmentView& view, Writers writers) {
    Violations violations;
    verify_geometry(view.geometry(), violations);
    verify_header(view, violations);
    for (Fault& fault : find_faults(view))
        violations.add(std::move(fault.text));
    verify_directory(view, violations);
    verify_settings(view, violations);
    verify_group(view, violations);
    verify_seats(view, violations);
    verify_rings(view, writers, violations);
    verify_lanes(view, writers, violations);
    return violations.take();
}

}  // namespace signalbox::telemetry
