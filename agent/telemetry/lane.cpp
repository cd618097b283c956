#include "signalbox/detail/lane.hpp"

#include "agent/telemetry/attachment.hpp"

namespace signalbox::detail {
namespace {

/// Where this process records; set by attach(). Null before.
constinit std::atomic<std::byte*> owner_lane{nullptr};
constinit std::atomic<std::byte*> shared_lane{nullptr};

}  // namespace

void attach_process(std::byte* owner, std::byte* shared) noexcept {
    owner_lane.store(owner, std::memory_order_release);
    shared_lane.store(shared, std::memory_order_release);
    current_lane = {owner, owner != nullptr};
}

bool adopt_shared_lane() noexcept {
    std::byte* base = shared_lane.load(std::memory_order_acquire);
    if (!base) return false;
    current_lane = {base, false};
    return true;
}

Word* process_word(std::uint32_t offset) noexcept {
    std::byte* base = owner_lane.load(std::memory_order_acquire);
    return base ? reinterpret_cast<Word*>(base + offset) : nullptr;
}

void carry_exclusively(DistributionHead& head, DistributionBuckets& buckets, std::uint32_t bucket) noexcept {
    const auto carry =
        static_cast<std::uint16_t>(buckets.carries[bucket].load(std::memory_order_relaxed) + 1);
    head.carrying.store((std::uint64_t{bucket} + 1) << 16 | carry, std::memory_order_release);
    buckets.carries[bucket].store(carry, std::memory_order_release);
    buckets.counts[bucket].store(0, std::memory_order_release);
    head.carrying.store(kHasCarried, std::memory_order_release);
}

void record_maximum(Word& word, std::uint64_t value) noexcept {
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    while (value > seen && !word.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
}

}  // namespace signalbox::detail
