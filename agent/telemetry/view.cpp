#include "agent/telemetry/view.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <system_error>

#include "agent/telemetry/activity.hpp"
#include "agent/telemetry/quarantine.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint64_t kStallAfterNs = 500'000'000;
/// What clocks read by different processes may seem to differ.
constexpr std::uint64_t kSlackNs = 1'000'000'000;

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
    if (g.total_bytes > file_bytes)
        throw SegmentError(
            fmt::format("the segment is cut short, or its geometry is damaged: its header says {} bytes, the "
                        "file has {}; "
                        "if it is a copy, make it again",
                        g.total_bytes, file_bytes));
    const bool sane =
        g.slot_count >= 1 && g.slot_count <= kMaxSlots && g.seat_count == 2 * g.slot_count + 1 &&
        g.directory_capacity >= 1 && g.directory_capacity <= kMaxInstruments && g.lane_count >= 2 &&
        g.lane_count <= kMaxLanes && g.lane_bytes % kPage == 0 && g.samples_start % kPage == 0 &&
        g.buckets_start % kPage == 0 && g.samples_start <= g.buckets_start &&
        g.buckets_start <= g.tables_start && g.tables_start % kPage == 0 && g.tables_start <= g.lane_bytes &&
        g.registers_bytes % kPage == 0 &&
        fits(g.directory_offset, std::uint64_t{g.directory_capacity} * sizeof(DirectoryEntry),
             g.total_bytes) &&
        fits(g.group_offset, sizeof(Group), g.total_bytes) &&
        fits(g.group_ring_offset, ring_bytes, g.total_bytes) && g.settings_capacity <= kMaxSettings &&
        fits(g.settings_offset, std::uint64_t{g.settings_capacity} * sizeof(SettingEntry), g.total_bytes) &&
        fits(g.crashes_offset, kKeptCrashes * kPage, g.total_bytes) &&
        fits(g.retired_offset, retired, g.total_bytes) &&
        fits(g.retired_registers_offset, registers, g.total_bytes) &&
        fits(g.seat_registers_offset, registers, g.seat_stride) &&
        fits(g.seat_crash_offset, sizeof(CrashRecord), g.seat_stride) &&
        fits(g.seat_connections_offset, kConnectionRecords * sizeof(ConnectionRecord), g.seat_stride) &&
        fits(g.seat_ring_offset, ring_bytes, g.seat_stride) &&
        fits(g.seat_actions_offset, actions_bytes, g.seat_stride) &&
        fits(g.seat_lanes_offset, lanes, g.seat_stride) && g.seat_stride % kPage == 0 &&
        g.seat_stride <= g.total_bytes && fits(g.seats_offset, g.seat_stride * g.seat_count, g.total_bytes);
    if (!sane)
        throw SegmentError("the segment's header is damaged: its geometry makes no sense; take another copy");
}

/// Garbage must not overflow the arithmetic of times.
std::int64_t clamp_to(std::int64_t limit, std::int64_t value) {
    return std::clamp(value, -limit, limit);
}
constexpr std::int64_t kLongAgoNs = std::int64_t{1} << 60;      // 36 years
constexpr std::int64_t kLastInstantNs = std::int64_t{1} << 62;  // in 2116

std::uint64_t since(std::uint64_t then, std::uint64_t now) {
    return then != 0 && now > then ? now - then : 0;
}

}  // namespace

SegmentView::SegmentView(int descriptor, Hold hold) : hold_(hold) {
    read(descriptor);
}

SegmentView::SegmentView(const std::string& path, Hold hold) : hold_(hold) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        throw SegmentError(fmt::format("{}: {}", path, std::generic_category().message(errno)));
    try {
        read(descriptor);
    } catch (...) {
        ::close(descriptor);
        throw;
    }
    ::close(descriptor);
}

void SegmentView::read(int descriptor) {
    // The header is read, not mapped, until the file's size has been checked against what it claims.
    alignas(Header) std::array<std::byte, sizeof(Header)> bytes{};
    if (::pread(descriptor, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        throw SegmentError("not a segment: shorter than a header");
    const auto& header = *reinterpret_cast<const Header*>(bytes.data());
    if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
        throw SegmentError("not a segment: it does not start with SIGNLBOX");
    if (header.layout_version != kLayoutVersion)
        throw SegmentError(fmt::format(
            "needs Signalbox that reads layout version {}; this one reads {} {}", header.layout_version,
            header.layout_version > kLayoutVersion ? "up to" : "only", kLayoutVersion));
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) throw SegmentError("cannot tell the size of the segment");
    geometry_ = header.geometry;
    validate(geometry_, static_cast<std::uint64_t>(status.st_size));
    try {
        if (hold_ == Hold::map)
            image_ = Image::map(descriptor, geometry_.total_bytes);
        else
            copy_consistently(descriptor);
    } catch (const std::system_error& error) {
        throw SegmentError(fmt::format("cannot read the segment: {}", error.what()));
    }
    group_name_ = text_of(header.group_name);
    for (const std::uint8_t byte : header.boot_id)
        boot_id_ += fmt::format("{:02x}", byte);
    created_ = wire::WallTime(
        wire::nanoseconds(std::clamp<std::int64_t>(header.created_wall_ns, 0, kLastInstantNs)));
    created_monotonic_ns_ = std::clamp<std::int64_t>(header.created_monotonic_ns, 0, kLastInstantNs);
}

/// A worker that is folded while this copies would be missing or count twice: then it copies again.
void SegmentView::copy_consistently(int descriptor) {
    for (int attempt = 0; attempt < 20; ++attempt) {
        if (attempt > 0) sched_yield();
        image_ = Image::copy(descriptor, geometry_.total_bytes);
        const std::uint64_t copied = this->header().fold_sequence.load(relaxed);
        std::uint64_t present = 0;
        const ssize_t got = ::pread(descriptor, &present, sizeof present, offsetof(Header, fold_sequence));
        if (got != sizeof present)
            throw SegmentError("the segment was cut short while it was read; try again");
        if (copied == present && copied % 2 == 0) return;
    }
    // Whoever folded has died at it, which does no harm; see retire.hpp.
}

std::uint64_t SegmentView::now() const {
    return stopped_at_ ? *stopped_at_ : monotonic_ns();
}

wire::WallTime SegmentView::wall_time(std::uint64_t monotonic) const {
    if (stopped_at_) {
        const auto age =
            static_cast<std::int64_t>(monotonic - static_cast<std::uint64_t>(created_monotonic_ns_));
        return created_ + wire::nanoseconds(clamp_to(kLongAgoNs, age));
    }
    const auto now = std::chrono::time_point_cast<wire::nanoseconds>(std::chrono::system_clock::now());
    return now -
           wire::nanoseconds(clamp_to(kLongAgoNs, static_cast<std::int64_t>(monotonic_ns() - monotonic)));
}

std::uint64_t SegmentView::last_sign_of_life() const {
    const auto created = static_cast<std::uint64_t>(created_monotonic_ns_);
    // Damage may claim any time; nothing has happened before the creation or after today.
    const auto today = std::chrono::time_point_cast<wire::nanoseconds>(std::chrono::system_clock::now());
    const std::int64_t longest = std::max<std::int64_t>(0, (today - created_).count());
    const std::uint64_t latest = created + static_cast<std::uint64_t>(longest) + 3'600'000'000'000;
    std::uint64_t newest = created;
    const auto note = [&](std::uint64_t instant) {
        if (instant <= latest) newest = std::max(newest, instant);
    };
    std::vector<RawEvent> events;
    std::uint64_t next = 0;
    read_group_events(next, events);
    for (unsigned i = 0; i < geometry_.seat_count; ++i) {
        note(seat(i).heartbeat_monotonic_ns.load(relaxed));
        note(seat(i).started_monotonic_ns.load(relaxed));
        next = 0;
        read_seat_events(i, next, events);
        for (const RawEvent& event : events)
            note(event.monotonic_ns);
        events.clear();
    }
    return newest;
}

GroupInfo SegmentView::group() const {
    const Group& group = *at<Group>(geometry_.group_offset);
    return {group.target_workers.load(relaxed), group.degraded.load(relaxed) != 0,
            group.arbiter_pid.load(relaxed),    group.agent_pid.load(relaxed),
            group.agent_starts.load(relaxed),   group.last_generation.load(relaxed)};
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
    const std::uint64_t now = this->now();
    for (unsigned i = 0; i + 1 < geometry_.seat_count; ++i)
        if (seat(i).pid.load(std::memory_order_acquire) != 0 && seat_fault(*this, i).empty())
            workers.push_back(worker(i, now));
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
    worker.activity = read_activity(seat.activity, activity_since);
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

std::vector<CrashInfo> SegmentView::crashes() const {
    std::map<std::uint64_t, CrashInfo> found;  // one that is just being kept may show twice
    const auto add = [&](const CrashRecord& record) {
        std::optional<CrashInfo> crash = read_crash(record, geometry_.slot_count);
        if (crash && crash->monotonic_ns <= now() + kSlackNs)
            found.emplace(crash->generation, *std::move(crash));
    };
    // The seats first: what moves from there meanwhile is found among the kept ones.
    for (unsigned i = 0; i + 1 < geometry_.seat_count; ++i)
        add(*at<CrashRecord>(seat_offset(i) + geometry_.seat_crash_offset));
    for (unsigned i = 0; i < kKeptCrashes; ++i)
        add(*at<CrashRecord>(geometry_.crashes_offset + i * kPage));
    std::vector<CrashInfo> crashes;
    for (auto& [generation, crash] : found)
        crashes.push_back(std::move(crash));
    std::stable_sort(crashes.begin(), crashes.end(),
                     [](const CrashInfo& a, const CrashInfo& b) { return a.monotonic_ns < b.monotonic_ns; });
    return crashes;
}

ConnectionList SegmentView::connections(unsigned index) const {
    if (index + 1 >= geometry_.seat_count) return {};
    const Seat& seat = this->seat(index);
    if (seat.pid.load(std::memory_order_acquire) == 0 || !seat_fault(*this, index).empty()) return {};
    const auto* records = at<ConnectionRecord>(seat_offset(index) + geometry_.seat_connections_offset);
    return read_connections({records, kConnectionRecords}, seat.connections.load(relaxed), now());
}

const DirectoryEntry* SegmentView::raw_entry(std::uint32_t index) const {
    return at<DirectoryEntry>(geometry_.directory_offset + std::uint64_t{index} * sizeof(DirectoryEntry));
}

std::optional<CheckedEntry> SegmentView::entry(std::uint32_t index) const {
    if (entry_is_vacant(index)) return {};
    return check_entry(*raw_entry(index), index, geometry_);
}

bool SegmentView::entry_is_vacant(std::uint32_t index) const {
    if (index >= geometry_.directory_capacity) return true;
    return state_of(raw_entry(index)->state) == EntryState::vacant;
}

bool SegmentView::entry_is_settled(std::uint32_t index) const {
    if (index >= geometry_.directory_capacity) return false;
    const EntryState state = state_of(raw_entry(index)->state);
    return state == EntryState::ready || state == EntryState::damaged;
}

std::vector<Setting> SegmentView::settings() const {
    std::vector<Setting> settings;
    for (std::uint32_t i = 0; i < geometry_.settings_capacity; ++i) {
        const SettingEntry& entry = setting_entry(i);
        if (state_of(entry.state) == EntryState::vacant) break;
        if (auto setting = read_setting(entry, i)) settings.push_back(*std::move(setting));
    }
    return settings;
}

const std::byte* SegmentView::lane(unsigned seat, unsigned index) const {
    return image_.data() + seat_offset(seat) + geometry_.seat_lanes_offset +
           std::uint64_t{index} * geometry_.lane_bytes;
}

const std::byte* SegmentView::retired_lane(unsigned which) const {
    return image_.data() + geometry_.retired_offset + std::uint64_t{which & 1} * geometry_.lane_bytes;
}

EventRingView SegmentView::group_ring() const {
    return {at<EventRecord>(geometry_.group_ring_offset), kEventRingRecords,
            at<Group>(geometry_.group_offset)->ring_head};
}

EventRingView SegmentView::seat_ring(unsigned index) const {
    return {at<EventRecord>(seat_offset(index) + geometry_.seat_ring_offset), kEventRingRecords,
            seat(index).ring_head};
}

EventRingView SegmentView::seat_actions(unsigned index) const {
    return {at<EventRecord>(seat_offset(index) + geometry_.seat_actions_offset), kActionRingRecords,
            seat(index).action_head};
}

const std::byte* SegmentView::registers(unsigned seat) const {
    return image_.data() + seat_offset(seat) + geometry_.seat_registers_offset;
}

const std::byte* SegmentView::retired_registers() const {
    return image_.data() + geometry_.retired_registers_offset;
}

std::uint64_t SegmentView::read_group_events(std::uint64_t& next, std::vector<RawEvent>& out) const {
    return read_events(group_ring(), next, out, is_still());
}

std::uint64_t SegmentView::read_seat_events(unsigned index, std::uint64_t& next,
                                            std::vector<RawEvent>& out) const {
    return read_events(seat_ring(index), next, out, writer_is_gone(index));
}

std::uint64_t SegmentView::read_seat_actions(unsigned index, std::uint64_t& next,
                                             std::vector<RawEvent>& out) const {
    return read_events(seat_actions(index), next, out, writer_is_gone(index));
}

bool SegmentView::writer_is_gone(unsigned index) const {
    return is_still() || seat(index).pid.load(std::memory_order_acquire) == 0;
}

}  // namespace signalbox::telemetry
