#include "agent/telemetry/connections.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/telemetry/segment.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

/// What does not fit is cut. Only the words that hold text are written.
template <std::size_t N>
std::uint32_t write_text(std::atomic<std::uint64_t> (&to)[N], std::string_view text) {
    const std::size_t length = std::min(text.size(), sizeof to);
    std::array<std::uint64_t, N> words;
    words[length == 0 ? 0 : (length - 1) / 8] = 0;
    std::memcpy(words.data(), text.data(), length);
    for (std::size_t i = 0; i * 8 < length; ++i)
        to[i].store(words[i], relaxed);
    return static_cast<std::uint32_t>(length);
}

template <std::size_t N>
std::string read_text(const std::atomic<std::uint64_t> (&from)[N], std::uint32_t length) {
    std::array<std::uint64_t, N> words;
    for (std::size_t i = 0; i < N; ++i)
        words[i] = from[i].load(relaxed);
    return {reinterpret_cast<const char*>(words.data()), std::min<std::size_t>(length, sizeof words)};
}

/// "" while it is written, for good if the writer died there.
std::string request_of(const ConnectionRecord& record) {
    for (int attempt = 0; attempt < 8; ++attempt) {
        const std::uint32_t before = record.sequence.load(std::memory_order_acquire);
        const std::uint32_t length = record.sizes.load(relaxed) >> 8 & 0xff;
        std::string text = read_text(record.request, length);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (before % 2 == 0 && record.sequence.load(relaxed) == before) return text;
    }
    return {};
}

}  // namespace

ConnectionSlot::ConnectionSlot(ConnectionSlot&& other) noexcept
    : table_(std::exchange(other.table_, nullptr)), record_(other.record_), index_(other.index_) {}

void ConnectionSlot::begin_request(std::string_view line) {
    const std::uint32_t sequence = record_->sequence.load(relaxed) | 1;
    record_->sequence.store(sequence, relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    const std::uint32_t length = write_text(record_->request, line);
    record_->sizes.store((record_->sizes.load(relaxed) & 0xff) | length << 8, relaxed);
    record_->sequence.store(sequence + 1, std::memory_order_release);
}

void ConnectionSlot::close() {
    ConnectionTable* const table = std::exchange(table_, nullptr);
    if (!table || index_ == kNone) return;
    record_->state.store(static_cast<std::uint32_t>(ConnectionState::vacant), std::memory_order_release);
    table->vacant_[table->vacant_count_++] = static_cast<std::uint16_t>(index_);
}

ConnectionTable::ConnectionTable(Segment& segment, unsigned seat) : records_(segment.connections(seat)) {
    for (std::uint32_t i = 0; i < kConnectionRecords; ++i)
        vacant_[i] = static_cast<std::uint16_t>(kConnectionRecords - 1 - i);
}

ConnectionSlot ConnectionTable::open(std::string_view peer, std::uint64_t now) {
    const bool full = vacant_count_ == 0;
    const std::uint32_t index = full ? ConnectionSlot::kNone : vacant_[--vacant_count_];
    ConnectionRecord& record = full ? spare_ : records_[index];
    record.since_monotonic_ns.store(now, relaxed);
    record.requests.store(0, relaxed);
    record.received_bytes.store(0, relaxed);
    record.sent_bytes.store(0, relaxed);
    record.sizes.store(write_text(record.peer, peer), relaxed);
    record.state.store(static_cast<std::uint32_t>(ConnectionState::idle), std::memory_order_release);
    return {*this, record, index};
}

std::string_view state_name(ConnectionState state) {
    switch (state) {
        case ConnectionState::vacant:
            break;
        case ConnectionState::idle:
            return "idle";
        case ConnectionState::reading:
            return "reading";
        case ConnectionState::handling:
            return "handling";
        case ConnectionState::writing:
            return "writing";
    }
    return "vacant";
}

ConnectionList read_connections(std::span<const ConnectionRecord> records, std::uint32_t open,
                                std::uint64_t now) {
    ConnectionList list;
    for (std::uint32_t i = 0; i < records.size(); ++i) {
        const ConnectionRecord& record = records[i];
        const std::uint32_t state = record.state.load(std::memory_order_acquire);
        if (state == 0 || state > static_cast<std::uint32_t>(ConnectionState::writing)) continue;
        const std::uint64_t since = record.since_monotonic_ns.load(relaxed);
        list.shown.push_back({.index = i,
                              .state = static_cast<ConnectionState>(state),
                              .age_ns = since != 0 && now > since ? now - since : 0,
                              .requests = record.requests.load(relaxed),
                              .received_bytes = record.received_bytes.load(relaxed),
                              .sent_bytes = record.sent_bytes.load(relaxed),
                              .peer = read_text(record.peer, record.sizes.load(relaxed) & 0xff),
                              .request = request_of(record)});
    }
    const auto shown = static_cast<std::uint32_t>(list.shown.size());
    list.unseen = open > shown ? open - shown : 0;
    return list;
}

}  // namespace signalbox::telemetry
