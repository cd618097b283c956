#include "agent/telemetry/view.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "agent/telemetry/seat.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint64_t kStallAfterNs = 500'000'000;

template <std::size_t N>
std::string text_of(const char (&field)[N]) {
    return {field, ::strnlen(field, N)};
}

/// A part of `bytes` at `offset` lies within the file, behind the header, and is page-aligned.
bool fits(std::uint64_t offset, std::uint64_t bytes, std::uint64_t total) {
    return offset >= kPage && offset % kPage == 0 && bytes <= total && offset <= total - bytes;
}

void validate(const Geometry& g, std::uint64_t file_bytes) {
    constexpr std::uint64_t ring_bytes = kEventRingRecords * sizeof(EventRecord);
    constexpr std::uint64_t actions_bytes = kActionRingRecords * sizeof(EventRecord);
    const std::uint64_t retired = 2 * std::uint64_t{g.lane_bytes};
    const std::uint64_t registers = g.registers_bytes;
    const std::uint64_t lanes = g.lane_count * std::uint64_t{g.lane_bytes};
    const bool sane =
        g.total_bytes <= file_bytes && g.slot_count >= 1 && g.slot_count <= kMaxSlots &&
        g.seat_count == 2 * g.slot_count + 1 && g.directory_capacity >= 1 &&
        g.directory_capacity <= kMaxInstruments && g.lane_count >= 2 && g.lane_count <= kMaxLanes &&
        g.lane_bytes % kPage == 0 && g.samples_start % kPage == 0 && g.buckets_start % kPage == 0 &&
        g.samples_start <= g.buckets_start && g.buckets_start <= g.tables_start &&
        g.tables_start % kPage == 0 && g.tables_start <= g.lane_bytes && g.registers_bytes % kPage == 0 &&
        fits(g.directory_offset, std::uint64_t{g.directory_capacity} * sizeof(DirectoryEntry),
             g.total_bytes) &&
        fits(g.group_offset, sizeof(Group), g.total_bytes) &&
        fits(g.group_ring_offset, ring_bytes, g.total_bytes) &&
        fits(g.retired_offset, retired, g.total_bytes) &&
        fits(g.retired_registers_offset, registers, g.total_bytes) &&
        fits(g.seat_registers_offset, registers, g.seat_stride) &&
        fits(g.seat_ring_offset, ring_bytes, g.seat_stride) &&
        fits(g.seat_actions_offset, actions_bytes, g.seat_stride) &&
        fits(g.seat_lanes_offset, lanes, g.seat_stride) && g.seat_stride % kPage == 0 &&
        g.seat_stride <= g.total_bytes && fits(g.seats_offset, g.seat_stride * g.seat_count, g.total_bytes);
    if (!sane) throw SegmentError("the segment's header is damaged: its geometry makes no sense");
}

/// A consistent copy of the activity, or "" if its writer is in the middle of it (also for good, if it died
/// there).
std::string activity_of(const ActivityRecord& record, std::uint64_t& since) {
    for (int attempt = 0; attempt < 8; ++attempt) {
        const std::uint32_t before = record.sequence.load(std::memory_order_acquire);
        const std::uint32_t length =
            std::min<std::uint32_t>(record.length.load(std::memory_order_acquire), sizeof record.text);
        std::array<std::uint64_t, std::size(ActivityRecord{}.text)> words;
        for (std::size_t i = 0; i < words.size(); ++i)
            words[i] = record.text[i].load(relaxed);
        since = record.since_monotonic_ns.load(relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (before % 2 == 0 && record.sequence.load(relaxed) == before)
            return {reinterpret_cast<const char*>(words.data()), length};
    }
    return {};
}

std::uint64_t since(std::uint64_t then, std::uint64_t now) {
    return then != 0 && now > then ? now - then : 0;
}

}  // namespace

SegmentView::SegmentView(int descriptor) {
    map(descriptor);
}

SegmentView::SegmentView(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        throw SegmentError(fmt::format("{}: {}", path, std::generic_category().message(errno)));
    try {
        map(descriptor);
    } catch (...) {
        ::close(descriptor);
        throw;
    }
    ::close(descriptor);
}

SegmentView::~SegmentView() {
    ::munmap(const_cast<std::byte*>(base_), geometry_.total_bytes);
}

void SegmentView::map(int descriptor) {
    // The header is read, not mapped, until the file's size has been checked against what it claims.
    alignas(Header) std::array<std::byte, sizeof(Header)> bytes{};
    if (::pread(descriptor, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        throw SegmentError("not a segment: shorter than a header");
    const auto& header = *reinterpret_cast<const Header*>(bytes.data());
    if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
        throw SegmentError("not a segment: it does not start with SIGNLBOX");
    if (header.layout_version != kLayoutVersion)
        throw SegmentError(fmt::format("the segment has layout version {}; this program reads version {}",
                                       header.layout_version, kLayoutVersion));
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) throw SegmentError("cannot tell the size of the segment");
    Geometry geometry = header.geometry;
    validate(geometry, static_cast<std::uint64_t>(status.st_size));

    void* base = ::mmap(nullptr, geometry.total_bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (base == MAP_FAILED)
        throw SegmentError(fmt::format("cannot map the segment: {}", std::generic_category().message(errno)));
    base_ = static_cast<const std::byte*>(base);
    geometry_ = geometry;
    group_name_ = text_of(header.group_name);
    for (const std::uint8_t byte : header.boot_id)
        boot_id_ += fmt::format("{:02x}", byte);
    created_ = wire::WallTime(wire::nanoseconds(header.created_wall_ns));
}

wire::WallTime SegmentView::wall_time(std::uint64_t monotonic) const {
    const auto now = std::chrono::time_point_cast<wire::nanoseconds>(std::chrono::system_clock::now());
    return now - wire::nanoseconds(static_cast<std::int64_t>(monotonic_ns() - monotonic));
}

GroupInfo SegmentView::group() const {
    const Group& group = *at<Group>(geometry_.group_offset);
    return {group.target_workers.load(relaxed), group.degraded.load(relaxed) != 0,
            group.arbiter_pid.load(relaxed), group.agent_pid.load(relaxed), group.agent_starts.load(relaxed)};
}

std::vector<ListenerInfo> SegmentView::listeners() const {
    const Group& group = *at<Group>(geometry_.group_offset);
    std::vector<ListenerInfo> listeners;
    for (unsigned i = 0; i < kMaxListeners; ++i) {
        const ListenerRecord& record = group.listeners[i];
        if (record.used.load(std::memory_order_acquire) != 1) continue;
        listeners.push_back({i, text_of(record.address), text_of(record.protocol),
                             record.backlog_limit.load(relaxed), record.port.load(relaxed)});
    }
    return listeners;
}

std::vector<wire::Worker> SegmentView::workers() const {
    std::vector<wire::Worker> workers;
    const std::uint64_t now = monotonic_ns();
    for (unsigned i = 0; i + 1 < geometry_.seat_count; ++i)
        if (seat(i).pid.load(std::memory_order_acquire) != 0) workers.push_back(worker(i, now));
    std::sort(workers.begin(), workers.end(), [](const wire::Worker& a, const wire::Worker& b) {
        return a.slot != b.slot ? a.slot < b.slot : a.generation > b.generation;
    });
    return workers;
}

wire::Worker SegmentView::worker(unsigned seat_index, std::uint64_t now) const {
    const Seat& seat = this->seat(seat_index);
    wire::Worker worker;
    worker.slot = seat_index / 2;
    worker.generation = seat.generation.load(relaxed);
    worker.pid = seat.pid.load(relaxed);
    worker.started = wall_time(seat.started_monotonic_ns.load(relaxed));
    const std::uint64_t beat_age = since(seat.heartbeat_monotonic_ns.load(relaxed), now);
    worker.heartbeat_age = wire::nanoseconds(beat_age);
    switch (static_cast<Phase>(seat.phase.load(std::memory_order_acquire))) {
        case Phase::ready:
            worker.state = wire::WorkerState::ready;
            break;
        case Phase::draining:
            worker.state = wire::WorkerState::draining;
            break;
        default:
            worker.state = wire::WorkerState::starting;
    }
    if (worker.state != wire::WorkerState::starting && beat_age > kStallAfterNs)
        worker.state = wire::WorkerState::stalled;
    worker.resident_bytes = seat.resident_bytes.load(relaxed);
    worker.open_files = seat.open_files.load(relaxed);
    worker.connections = seat.connections.load(relaxed);
    worker.requests = seat.requests.load(relaxed);
    std::uint64_t activity_since = 0;
    worker.activity = activity_of(seat.activity, activity_since);
    if (!worker.activity.empty()) worker.activity_age = wire::nanoseconds(since(activity_since, now));
    for (unsigned i = 0; i < kMaxListeners; ++i) {
        const QueueRecord& queue = seat.queues[i];
        const std::uint32_t capacity = queue.capacity.load(relaxed);
        if (capacity == 0) continue;
        // popped first: it never passes pushed, so the depth is not negative
        const std::uint64_t popped = queue.popped.load(std::memory_order_acquire);
        const std::uint64_t pushed = queue.pushed.load(std::memory_order_acquire);
        worker.queues.push_back(
            {i, static_cast<std::uint32_t>(std::min<std::uint64_t>(pushed - popped, capacity)), capacity,
             wire::nanoseconds(since(queue.oldest_monotonic_ns.load(relaxed), now)), pushed,
             queue.shed.load(relaxed)});
    }
    return worker;
}

std::optional<CheckedEntry> SegmentView::entry(std::uint32_t index) const {
    if (entry_is_vacant(index)) return {};
    return check_entry(*at<DirectoryEntry>(geometry_.directory_offset + index * sizeof(DirectoryEntry)),
                       index, geometry_);
}

bool SegmentView::entry_is_vacant(std::uint32_t index) const {
    if (index >= geometry_.directory_capacity) return true;
    const auto* entry = at<DirectoryEntry>(geometry_.directory_offset + index * sizeof(DirectoryEntry));
    return entry->state.load(std::memory_order_acquire) == static_cast<std::uint32_t>(EntryState::vacant);
}

const std::byte* SegmentView::lane(unsigned seat, unsigned index) const {
    return base_ + seat_offset(seat) + geometry_.seat_lanes_offset +
           std::uint64_t{index} * geometry_.lane_bytes;
}

const std::byte* SegmentView::retired_lane(unsigned which) const {
    return base_ + geometry_.retired_offset + std::uint64_t{which & 1} * geometry_.lane_bytes;
}

const std::byte* SegmentView::registers(unsigned seat) const {
    return base_ + seat_offset(seat) + geometry_.seat_registers_offset;
}

const std::byte* SegmentView::retired_registers() const {
    return base_ + geometry_.retired_registers_offset;
}

std::uint64_t SegmentView::read_group_events(std::uint64_t& next, std::vector<RawEvent>& out) const {
    return read_events({at<EventRecord>(geometry_.group_ring_offset), kEventRingRecords,
                        at<Group>(geometry_.group_offset)->ring_head},
                       next, out);
}

std::uint64_t SegmentView::read_seat_events(unsigned index, std::uint64_t& next,
                                            std::vector<RawEvent>& out) const {
    const Seat& seat = this->seat(index);
    const bool writer_is_gone = seat.pid.load(std::memory_order_acquire) == 0;
    return read_events(
        {at<EventRecord>(seat_offset(index) + geometry_.seat_ring_offset), kEventRingRecords, seat.ring_head},
        next, out, writer_is_gone);
}

std::uint64_t SegmentView::read_seat_actions(unsigned index, std::uint64_t& next,
                                             std::vector<RawEvent>& out) const {
    const Seat& seat = this->seat(index);
    const bool writer_is_gone = seat.pid.load(std::memory_order_acquire) == 0;
    return read_events({at<EventRecord>(seat_offset(index) + geometry_.seat_actions_offset),
                        kActionRingRecords, seat.action_head},
                       next, out, writer_is_gone);
}

}  // namespace signalbox::telemetry
