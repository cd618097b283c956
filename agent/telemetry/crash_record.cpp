#include "agent/telemetry/crash_record.hpp"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "agent/telemetry/activity.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint32_t kLargestPid = 1u << 22;                 // of Linux
constexpr std::uint64_t kGenerations = std::uint64_t{1} << 52;  // as in quarantine.cpp

static_assert(sizeof(CrashRecord) % sizeof(AtomicWord) == 0);

/// All but the sequence number.
void copy_words(const CrashRecord& from, CrashRecord& to) {
    const auto* source = reinterpret_cast<const AtomicWord*>(&from);
    auto* target = reinterpret_cast<AtomicWord*>(&to);
    for (std::size_t i = 1; i < sizeof(CrashRecord) / sizeof(AtomicWord); ++i)
        target[i].store(source[i].load(relaxed), relaxed);
}

/// A private copy that nobody changes any more; false if it is not whole.
bool snapshot(const CrashRecord& record, CrashRecord& copy) {
    const std::uint64_t sequence = record.sequence.load(std::memory_order_acquire);
    if (sequence == 0 || sequence % 2 != 0) return false;
    // First: frames below that count are there. More may come while this copies.
    const std::uint32_t frames = record.frame_count.load(std::memory_order_acquire);
    copy_words(record, copy);
    copy.frame_count.store(frames, relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    return record.sequence.load(relaxed) == sequence;
}

ModuleInfo module_of(const CrashModule& record) {
    ModuleInfo module;
    module.start = record.start.load(relaxed);
    module.end = record.end.load(relaxed);
    module.file_address = record.file_address.load(relaxed);
    const std::array<std::uint64_t, 2> id = {record.build_id[0].load(relaxed),
                                             record.build_id[1].load(relaxed)};
    std::memcpy(module.build_id.data(), id.data(), sizeof id);
    std::array<char, sizeof record.path> path;
    for (std::size_t i = 0; i < std::size(record.path); ++i) {
        const std::uint64_t word = record.path[i].load(relaxed);
        std::memcpy(path.data() + i * sizeof word, &word, sizeof word);
    }
    module.path.assign(path.data(), ::strnlen(path.data(), path.size()));
    return module;
}

std::string printable(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c <= 0x20 || c == 0x7f; }, '?');
    return text;
}

}  // namespace

CrashFrame place_frame(std::uint64_t address, bool returned_to, const std::vector<ModuleInfo>& modules) {
    // A call that does not return may be the last instruction of its function, and of its module.
    const std::uint64_t inside = address - (returned_to ? 1 : 0);
    const auto found = std::find_if(modules.begin(), modules.end(), [inside](const ModuleInfo& module) {
        return inside >= module.start && inside < module.end;
    });
    if (found == modules.end()) return {address, {}, 0};
    return {address, static_cast<std::size_t>(found - modules.begin()),
            address - found->start + found->file_address};
}

std::vector<ModuleInfo> read_modules(const CrashRecord& record) {
    std::vector<ModuleInfo> modules;
    const std::uint32_t count = std::min(record.module_count.load(relaxed), kCrashModules);
    for (std::uint32_t i = 0; i < count; ++i)
        if (ModuleInfo module = module_of(record.modules[i]); module.start < module.end)
            modules.push_back(std::move(module));
    return modules;
}

std::string describe_frames(const std::vector<CrashFrame>& frames, const std::vector<ModuleInfo>& modules,
                            std::size_t most) {
    std::string text;
    for (std::size_t i = 0; i < std::min(most, frames.size()); ++i) {
        const CrashFrame& frame = frames[i];
        text += i == 0 ? "" : " < ";
        text += frame.module ? fmt::format("{}+{:#x}", printable(modules[*frame.module].name()), frame.offset)
                             : fmt::format("{:#x}", frame.address);
    }
    return text;
}

std::string ModuleInfo::name() const {
    return path.substr(path.rfind('/') + 1);
}

std::optional<CrashInfo> read_crash(const CrashRecord& shared, std::uint32_t slot_count) {
    CrashRecord record{};
    if (!snapshot(shared, record)) return {};
    CrashInfo crash;
    crash.slot = record.slot.load(relaxed);
    crash.generation = record.generation.load(relaxed);
    crash.pid = record.pid.load(relaxed);
    crash.tid = record.tid.load(relaxed);
    crash.signal = static_cast<int>(record.signal.load(relaxed));
    crash.code = static_cast<int>(record.code.load(relaxed));
    crash.address = record.address.load(relaxed);
    crash.monotonic_ns = record.monotonic_ns.load(relaxed);
    if (crash.slot >= slot_count || crash.generation == 0 || crash.generation >= kGenerations ||
        crash.pid == 0 || crash.pid > kLargestPid || crash.tid == 0 || crash.tid > kLargestPid ||
        crash.signal < 1 || crash.signal >= NSIG || record.module_count.load(relaxed) > kCrashModules ||
        record.frame_count.load(relaxed) > kCrashFrames)
        return {};
    crash.activity = read_activity(record.activity, crash.activity_since_ns);
    crash.modules = read_modules(record);
    for (std::uint32_t i = 0; i < record.frame_count.load(relaxed); ++i)
        crash.frames.push_back(place_frame(record.frames[i].load(relaxed), i > 0, crash.modules));
    return crash;
}

std::string signal_name(int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

std::string describe(const CrashInfo& crash, std::size_t most) {
    std::string text = signal_name(crash.signal);
    if (crash.code > 0) text += fmt::format(" at {:#x}", crash.address);
    const std::string frames = describe_frames(crash.frames, crash.modules, most);
    if (!frames.empty()) text += ": " + frames;
    return text;
}

std::optional<CrashInfo> keep_crash(Segment& segment, unsigned seat, std::uint64_t generation) {
    CrashRecord& record = segment.crash(seat);
    std::optional<CrashInfo> crash = read_crash(record, segment.geometry().slot_count);
    if (!crash || crash->generation != generation || crash->slot != seat / 2) return {};
    AtomicWord& kept = segment.group().crashes_kept;
    const std::uint64_t number = kept.load(relaxed);
    CrashRecord& place = segment.kept_crash(number);
    place.sequence.store(2 * number + 1, relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    copy_words(record, place);
    place.sequence.store(2 * number + 2, std::memory_order_release);
    kept.store(number + 1, std::memory_order_release);
    record.sequence.store(0, relaxed);
    return crash;
}

}  // namespace signalbox::telemetry
