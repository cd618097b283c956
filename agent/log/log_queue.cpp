#include "agent/log/log_queue.hpp"

#include <new>
#include <utility>

#include "common/wire/utf8.hpp"

namespace signalbox::log {
namespace {

constexpr std::size_t kMaxText = 16 * 1024;

}  // namespace

void QueuedEvent::assign(const telemetry::NewEvent& event) {
    const std::string_view name = wire::utf8_prefix(event.name, telemetry::kMaxEventName);
    const std::string_view text = wire::utf8_prefix(event.text, kMaxText);
    payload_.clear();
    payload_.reserve(name.size() + text.size() + event.fields.size());
    payload_.append(name).append(text).append(event.fields);
    name_bytes_ = name.size();
    text_bytes_ = text.size();
    plain_ = event;
    plain_.cut = event.cut || text.size() < event.text.size();
    plain_.name = plain_.text = plain_.fields = {};
}

telemetry::NewEvent QueuedEvent::event() const {
    telemetry::NewEvent event = plain_;
    const std::string_view all = payload_;
    event.name = all.substr(0, name_bytes_);
    event.text = all.substr(name_bytes_, text_bytes_);
    event.fields = all.substr(name_bytes_ + text_bytes_);
    return event;
}

void QueuedEvent::swap(QueuedEvent& other) noexcept {
    std::swap(plain_, other.plain_);
    std::swap(name_bytes_, other.name_bytes_);
    std::swap(text_bytes_, other.text_bytes_);
    payload_.swap(other.payload_);
}

LogQueue::LogQueue(std::size_t capacity) : mask_(capacity - 1), cells_(std::make_unique<Cell[]>(capacity)) {
    for (std::size_t i = 0; i < capacity; ++i)
        cells_[i].turn.store(i, std::memory_order_relaxed);
}

bool LogQueue::push(const telemetry::NewEvent& event) noexcept {
    std::size_t position = tail_.load(std::memory_order_relaxed);
    for (;;) {
        const std::size_t turn = cells_[position & mask_].turn.load(std::memory_order_acquire);
        const auto ahead = static_cast<std::ptrdiff_t>(turn - position);
        if (ahead < 0) return false;
        if (ahead > 0)
            position = tail_.load(std::memory_order_relaxed);
        else if (tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed))
            break;
    }
    Cell& cell = cells_[position & mask_];
    try {
        cell.content.assign(event);
        cell.whole = true;
    } catch (const std::bad_alloc&) {
        cell.whole = false;
    }
    const bool whole = cell.whole;
    // Sequentially consistent, as is the reader's look before it sleeps: one of the two sees the other.
    cell.turn.store(position + 1, std::memory_order_seq_cst);
    return whole;
}

bool LogQueue::pop(QueuedEvent& out) noexcept {
    for (;;) {
        Cell& cell = cells_[head_ & mask_];
        if (cell.turn.load(std::memory_order_acquire) != head_ + 1) return false;
        const bool whole = cell.whole;
        if (whole) out.swap(cell.content);
        cell.turn.store(head_ + mask_ + 1, std::memory_order_release);
        ++head_;
        if (whole) return true;
    }
}

bool LogQueue::empty() const noexcept {
    return cells_[head_ & mask_].turn.load(std::memory_order_seq_cst) != head_ + 1;
}

}  // namespace signalbox::log
