#include "agent/telemetry/segment.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "agent/telemetry/event_ring.hpp"
#include "agent/telemetry/seat.hpp"
#include "common/sketch/space_saving.hpp"
#include "common/sketch/ultra_log_log_registers.hpp"

namespace signalbox::telemetry {
namespace {

std::uint64_t round_up(std::uint64_t bytes) {
    return (bytes + kPage - 1) / kPage * kPage;
}

Geometry lay_out(const TelemetryOptions& options) {
    Geometry g;
    g.slot_count = options.max_workers;
    g.seat_count = 2 * options.max_workers + 1;
    g.directory_capacity = options.instruments;
    g.lane_count = options.thread_lanes + 2;
    // Signed distributions take two of everything, which comes out of the same limits.
    const std::uint64_t samples_start =
        round_up(std::uint64_t{options.instruments} * sizeof(detail::Word) +
                 std::uint64_t{options.distributions} *
                     (sizeof(detail::DistributionHead) + alignof(detail::DistributionHead)));
    const std::uint64_t buckets_start =
        samples_start + round_up(std::uint64_t{options.distributions} * sizeof(detail::SampleRing));
    const std::uint64_t tables_start =
        buckets_start + std::uint64_t{options.distributions} * sizeof(detail::DistributionBuckets);
    const std::uint64_t lane_bytes =
        tables_start + round_up(std::uint64_t{options.heavy_hitters} * sizeof(sketch::SpaceSavingTable));
    // A Distinct of the default precision; a finer one takes the place of several.
    const std::uint64_t registers_bytes = round_up(
        options.distincts * (DistinctBlock::bytes(sketch::kDefaultDistinctPrecision) + kRegistersAlignment));
    if (lane_bytes > UINT32_MAX)
        throw std::invalid_argument(fmt::format(
            "{} distributions are too many: a lane of cells must stay below 4 GiB", options.distributions));
    g.samples_start = static_cast<std::uint32_t>(samples_start);
    g.buckets_start = static_cast<std::uint32_t>(buckets_start);
    g.tables_start = static_cast<std::uint32_t>(tables_start);
    g.lane_bytes = static_cast<std::uint32_t>(lane_bytes);
    g.registers_bytes = static_cast<std::uint32_t>(registers_bytes);

    std::uint64_t next = round_up(sizeof(Header));
    const auto take = [&next](std::uint64_t bytes) {
        const std::uint64_t offset = next;
        next += round_up(bytes);
        return offset;
    };
    constexpr std::uint64_t ring_bytes = kEventRingRecords * sizeof(EventRecord);
    g.directory_offset = take(std::uint64_t{options.instruments} * sizeof(DirectoryEntry));
    g.group_offset = take(sizeof(Group));
    g.group_ring_offset = take(ring_bytes);
    g.settings_capacity = options.settings;
    g.settings_offset = take(std::uint64_t{options.settings} * sizeof(SettingEntry));
    g.crashes_offset = take(kKeptCrashes * kPage);
    g.retired_offset = take(2 * lane_bytes);
    g.retired_registers_offset = take(registers_bytes);
    g.seat_crash_offset = round_up(sizeof(Seat));
    g.seat_connections_offset = g.seat_crash_offset + round_up(sizeof(CrashRecord));
    g.seat_ring_offset = g.seat_connections_offset + round_up(kConnectionRecords * sizeof(ConnectionRecord));
    g.seat_actions_offset = g.seat_ring_offset + round_up(ring_bytes);
    g.seat_lanes_offset = g.seat_actions_offset + round_up(kActionRingRecords * sizeof(EventRecord));
    g.seat_registers_offset = g.seat_lanes_offset + g.lane_count * lane_bytes;
    g.seat_stride = g.seat_registers_offset + registers_bytes;
    g.seats_offset = take(g.seat_stride * g.seat_count);
    g.total_bytes = next;
    return g;
}

void check(const TelemetryOptions& options) {
    if (options.group.empty() || options.group.size() >= sizeof(Header::group_name))
        throw std::invalid_argument(fmt::format("group name '{}': give 1 to {} bytes", options.group,
                                                sizeof(Header::group_name) - 1));
    if (options.max_workers < 1 || options.max_workers > kMaxSlots)
        throw std::invalid_argument(
            fmt::format("{} worker slots: give 1 to {}", options.max_workers, kMaxSlots));
    if (options.instruments < 1 || options.instruments > kMaxInstruments)
        throw std::invalid_argument(
            fmt::format("{} instruments: give 1 to {}", options.instruments, kMaxInstruments));
    if (options.distincts > 10'000 || options.heavy_hitters > 10'000)
        throw std::invalid_argument(fmt::format("{} distincts and {} heavy hitters: give at most 10000 each",
                                                options.distincts, options.heavy_hitters));
    if (options.settings < 1 || options.settings > kMaxSettings)
        throw std::invalid_argument(fmt::format("{} settings: give 1 to {}", options.settings, kMaxSettings));
    if (options.thread_lanes > kMaxLanes - 2)
        throw std::invalid_argument(
            fmt::format("{} thread lanes: give at most {}", options.thread_lanes, kMaxLanes - 2));
}

int open_file(const std::string& path) {
    if (path.empty()) {
        const int descriptor = memfd_create("signalbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (descriptor < 0)
            throw std::system_error(errno, std::generic_category(), "memfd_create for the segment");
        return descriptor;
    }
    // A new file under the final name at once: a reader that has the old one mapped keeps it whole.
    const std::string fresh = path + ".new";
    ::unlink(fresh.c_str());
    const int descriptor = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
        const int error = errno;
        if (descriptor >= 0) ::close(descriptor);
        throw std::system_error(error, std::generic_category(), "segment file " + path);
    }
    return descriptor;
}

std::int64_t wall_ns() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

}  // namespace

Segment::Segment(const TelemetryOptions& options) : creator_(::getpid()) {
    check(options);
    geometry_ = lay_out(options);
    descriptor_ = open_file(options.path);
    const auto fail = [this, &options](const char* what) {
        const int error = errno;
        ::close(descriptor_);
        throw std::system_error(
            error, std::generic_category(),
            fmt::format("{} of {} bytes for the segment {}", what, geometry_.total_bytes, options.path));
    };
    if (::ftruncate(descriptor_, static_cast<off_t>(geometry_.total_bytes)) != 0) fail("ftruncate");
    // Nobody who is handed the descriptor can pull the memory away under its readers.
    if (options.path.empty() &&
        ::fcntl(descriptor_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        fail("sealing");
    void* base = ::mmap(nullptr, geometry_.total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                        descriptor_, 0);
    if (base == MAP_FAILED) fail("mmap");
    ::madvise(base, geometry_.total_bytes, MADV_RANDOM);  // as in Image::map
    base_ = static_cast<std::byte*>(base);

    Header& h = header();
    h.layout_version = kLayoutVersion;
    h.header_bytes = sizeof(Header);
    h.geometry = geometry_;
    if (::getrandom(h.boot_id, sizeof h.boot_id, 0) != sizeof h.boot_id)
        throw std::system_error(errno, std::generic_category(), "getrandom");
    h.created_wall_ns = wall_ns();
    h.created_monotonic_ns = static_cast<std::int64_t>(monotonic_ns());
    std::memcpy(h.group_name, options.group.data(), options.group.size());
    // The magic comes last: a file without it was not finished.
    std::atomic_thread_fence(std::memory_order_release);
    std::memcpy(h.magic, kMagic, sizeof kMagic);
}

Segment::~Segment() {
    ::munmap(base_, geometry_.total_bytes);
    ::close(descriptor_);
}

DirectoryEntry& Segment::entry(unsigned index) const {
    return *at<DirectoryEntry>(geometry_.directory_offset + index * sizeof(DirectoryEntry));
}

SettingEntry& Segment::setting(unsigned index) const {
    return *at<SettingEntry>(geometry_.settings_offset + index * sizeof(SettingEntry));
}

bool Segment::is_keeper() const {
    const pid_t pid = ::getpid();
    return pid == creator_ ||
           group().arbiter_pid.load(std::memory_order_relaxed) == static_cast<std::uint32_t>(pid);
}

Seat* Segment::seat(unsigned index) const {
    if (index >= geometry_.seat_count) return nullptr;
    return at<Seat>(geometry_.seats_offset + index * geometry_.seat_stride);
}

EventRing Segment::group_ring() const {
    return {at<EventRecord>(geometry_.group_ring_offset), kEventRingRecords, group().ring_head};
}

CrashRecord& Segment::kept_crash(std::uint64_t number) const {
    return *at<CrashRecord>(geometry_.crashes_offset + number % kKeptCrashes * kPage);
}

CrashRecord& Segment::crash(unsigned seat) const {
    return *at<CrashRecord>(geometry_.seats_offset + seat * geometry_.seat_stride +
                            geometry_.seat_crash_offset);
}

ConnectionRecord* Segment::connections(unsigned seat) const {
    return at<ConnectionRecord>(geometry_.seats_offset + seat * geometry_.seat_stride +
                                geometry_.seat_connections_offset);
}

EventRing Segment::seat_ring(unsigned index) const {
    const std::uint64_t start = geometry_.seats_offset + index * geometry_.seat_stride;
    return {at<EventRecord>(start + geometry_.seat_ring_offset), kEventRingRecords,
            at<Seat>(start)->ring_head};
}

EventRing Segment::seat_actions(unsigned index) const {
    const std::uint64_t start = geometry_.seats_offset + index * geometry_.seat_stride;
    return {at<EventRecord>(start + geometry_.seat_actions_offset), kActionRingRecords,
            at<Seat>(start)->action_head};
}

std::byte* Segment::lane(unsigned seat, unsigned index) const {
    return base_ + geometry_.seats_offset + seat * geometry_.seat_stride + geometry_.seat_lanes_offset +
           std::uint64_t{index} * geometry_.lane_bytes;
}

std::byte* Segment::retired_lane(unsigned which) const {
    return base_ + geometry_.retired_offset + std::uint64_t{which & 1} * geometry_.lane_bytes;
}

std::byte* Segment::registers(unsigned seat) const {
    return base_ + geometry_.seats_offset + seat * geometry_.seat_stride + geometry_.seat_registers_offset;
}

std::byte* Segment::retired_registers() const {
    return base_ + geometry_.retired_registers_offset;
}

void Segment::clear(std::uint64_t offset, std::uint64_t bytes) {
    if (::fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(bytes)) == 0)
        return;
    std::memset(base_ + offset, 0, bytes);  // a file system without holes
}

}  // namespace signalbox::telemetry
