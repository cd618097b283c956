#include "agent/telemetry/event_ring.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::size_t kTextBytes = sizeof(EventRecord::bytes);
constexpr std::size_t kNameBytes = 64;

/// At most `limit` bytes of `text`, not ending inside a UTF-8 sequence.
std::string_view cut(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return text;
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80)
        --limit;
    return text.substr(0, limit);
}

/// The record's content, if it is whole and stays number `number` while it is copied.
std::optional<RawEvent> copy(const EventRecord& record, std::uint64_t number) {
    if (record.sequence.load(std::memory_order_acquire) != 2 * number + 2) return std::nullopt;
    RawEvent event;
    event.number = number;
    event.monotonic_ns = record.monotonic_ns.load(relaxed);
    event.generation = record.generation.load(relaxed);
    event.pid = record.pid.load(relaxed);
    const std::uint32_t sizes = record.severity_and_sizes.load(relaxed);
    std::array<std::uint64_t, kTextBytes / 8> words;
    for (std::size_t i = 0; i < words.size(); ++i)
        words[i] = record.bytes[i].load(relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (record.sequence.load(relaxed) != 2 * number + 2) return std::nullopt;

    const char* text = reinterpret_cast<const char*>(words.data());
    const std::size_t name_bytes = std::min<std::size_t>(sizes >> 8 & 0xff, kNameBytes);
    const std::size_t text_bytes = std::min<std::size_t>(sizes >> 16, kTextBytes - name_bytes);
    event.severity = static_cast<wire::Severity>(std::clamp<std::uint32_t>(sizes & 0xff, 1, 4));
    event.name.assign(text, name_bytes);
    event.text.assign(text + name_bytes, text_bytes);
    return event;
}

}  // namespace

void EventRing::append(std::uint64_t monotonic_ns, std::uint32_t pid, std::uint64_t generation,
                       wire::Severity severity, std::string_view name, std::string_view text) const noexcept {
    name = cut(name, kNameBytes);
    text = cut(text, kTextBytes - name.size());
    std::array<std::uint64_t, kTextBytes / 8> words{};
    std::memcpy(words.data(), name.data(), name.size());
    std::memcpy(reinterpret_cast<char*>(words.data()) + name.size(), text.data(), text.size());

    const std::uint64_t number = head_->fetch_add(1, relaxed);
    EventRecord& record = records_[number % kEventRingRecords];
    record.sequence.store(2 * number + 1, relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    record.monotonic_ns.store(monotonic_ns, relaxed);
    record.generation.store(generation, relaxed);
    record.pid.store(pid, relaxed);
    record.severity_and_sizes.store(static_cast<std::uint32_t>(severity) |
                                        static_cast<std::uint32_t>(name.size()) << 8 |
                                        static_cast<std::uint32_t>(text.size()) << 16,
                                    relaxed);
    for (std::size_t i = 0; i < words.size(); ++i)
        record.bytes[i].store(words[i], relaxed);
    record.sequence.store(2 * number + 2, std::memory_order_release);
}

std::uint64_t read_events(const EventRecord* records, const AtomicWord& head_word, std::uint64_t& next,
                          std::vector<RawEvent>& out, bool writer_is_gone) {
    const std::uint64_t head = head_word.load(std::memory_order_acquire);
    if (head < next) next = 0;  // another generation's ring
    std::uint64_t lost = 0;
    if (head - next > kEventRingRecords) {
        lost = head - next - kEventRingRecords;
        next = head - kEventRingRecords;
    }
    for (; next < head; ++next) {
        const EventRecord& record = records[next % kEventRingRecords];
        if (auto event = copy(record, next)) {
            out.push_back(std::move(*event));
        } else if (record.sequence.load(relaxed) > 2 * next + 2) {
            ++lost;
        } else if (!writer_is_gone && head - next < kEventRingRecords / 2) {
            break;  // still being written; next time
        }
    }
    return lost;
}

}  // namespace signalbox::telemetry
