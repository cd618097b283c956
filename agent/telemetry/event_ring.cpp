#include "agent/telemetry/event_ring.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "agent/telemetry/fields.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::size_t kPayloadBytes = sizeof(EventRecord::bytes);
constexpr std::size_t kReservedForFields = 160;
constexpr std::uint32_t kCut = 1u << 16;

using Payload = std::array<std::uint64_t, kPayloadBytes / 8>;

/// What of an event fits a record.
struct Fitted {
    explicit Fitted(const NewEvent& event)
        : name(wire::utf8_prefix(event.name, kMaxEventName)),
          text(wire::utf8_prefix(
              event.text, kPayloadBytes - name.size() - std::min(event.fields.size(), kReservedForFields))),
          fields(whole_fields(event.fields, kPayloadBytes - name.size() - text.size())),
          cut(event.cut || text.size() < event.text.size() || fields.size() < event.fields.size()) {}

    std::size_t bytes() const { return name.size() + text.size() + fields.size(); }
    std::uint32_t sizes() const {
        return static_cast<std::uint32_t>(name.size() | text.size() << 8 | fields.size() << 20);
    }
    void write(char* to) const {
        for (const std::string_view part : {name, text, fields})
            to = std::copy(part.begin(), part.end(), to);
    }

    std::string_view name;
    std::string_view text;
    std::string_view fields;
    bool cut;
};

/// Takes a copied record apart, believing nothing.
void interpret(std::string_view payload, std::uint32_t nature, std::uint32_t sizes, RawEvent& event) {
    const auto take = [&payload](std::size_t bytes) {
        const std::string_view part = payload.substr(0, bytes);
        payload.remove_prefix(part.size());
        return part;
    };
    event.severity = static_cast<wire::Severity>(std::clamp<std::uint32_t>(nature & 0xff, 1, 4));
    const std::uint32_t kind = nature >> 8 & 0xff;
    event.kind = kind <= static_cast<std::uint32_t>(wire::EventKind::exception)
                     ? static_cast<wire::EventKind>(kind)
                     : wire::EventKind::event;
    event.cut = (nature & kCut) != 0;
    event.name = take(std::min<std::size_t>(sizes & 0xff, kMaxEventName));
    event.text = take(sizes >> 8 & 0xfff);
    event.fields = read_fields(take(sizes >> 20));
}

/// The record's content, if it is whole and stays number `number` while it is copied.
std::optional<RawEvent> copy(const EventRecord& record, std::uint64_t number) {
    if (record.sequence.load(std::memory_order_acquire) != 2 * number + 2) return std::nullopt;
    RawEvent event;
    event.number = number;
    event.monotonic_ns = record.monotonic_ns.load(relaxed);
    event.generation = record.generation.load(relaxed);
    event.duration_ns = record.duration_ns.load(relaxed);
    event.pid = record.pid.load(relaxed);
    event.action = record.action.load(relaxed);
    const std::uint32_t nature = record.nature.load(relaxed);
    const std::uint32_t sizes = record.sizes.load(relaxed);
    Payload words;
    for (std::size_t i = 0; i < words.size(); ++i)
        words[i] = record.bytes[i].load(relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (record.sequence.load(relaxed) != 2 * number + 2) return std::nullopt;
    interpret({reinterpret_cast<const char*>(words.data()), kPayloadBytes}, nature, sizes, event);
    return event;
}

}  // namespace

void EventRing::append(const NewEvent& event) const noexcept {
    const Fitted fitted(event);
    const std::size_t used = (fitted.bytes() + 7) / 8;
    Payload words;
    if (used > 0) words[used - 1] = 0;
    fitted.write(reinterpret_cast<char*>(words.data()));

    const std::uint64_t number = head_->fetch_add(1, relaxed);
    EventRecord& record = records_[number % size_];
    record.sequence.store(2 * number + 1, relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    record.monotonic_ns.store(event.monotonic_ns, relaxed);
    record.generation.store(event.generation, relaxed);
    record.duration_ns.store(event.duration_ns, relaxed);
    record.pid.store(event.pid, relaxed);
    record.action.store(event.action, relaxed);
    record.nature.store(static_cast<std::uint32_t>(event.severity) |
                            static_cast<std::uint32_t>(event.kind) << 8 | (fitted.cut ? kCut : 0),
                        relaxed);
    record.sizes.store(fitted.sizes(), relaxed);
    for (std::size_t i = 0; i < used; ++i)
        record.bytes[i].store(words[i], relaxed);
    record.sequence.store(2 * number + 2, std::memory_order_release);
}

std::uint64_t read_events(const EventRingView& ring, std::uint64_t& next, std::vector<RawEvent>& out,
                          bool writer_is_gone) {
    const std::uint64_t head = ring.head.load(std::memory_order_acquire);
    if (head < next) next = 0;  // another generation's ring
    std::uint64_t lost = 0;
    if (head - next > ring.size) {
        lost = head - next - ring.size;
        next = head - ring.size;
    }
    for (; next < head; ++next) {
        const EventRecord& record = ring.records[next % ring.size];
        if (auto event = copy(record, next)) {
            out.push_back(std::move(*event));
        } else if (record.sequence.load(relaxed) > 2 * next + 2) {
            ++lost;
        } else if (!writer_is_gone && head - next < ring.size / 2) {
            break;  // still being written; next time
        }
    }
    return lost;
}

}  // namespace signalbox::telemetry
