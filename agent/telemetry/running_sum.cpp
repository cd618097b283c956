#include "agent/telemetry/running_sum.hpp"

namespace signalbox::telemetry {
namespace {

using detail::DistributionHead;
constexpr auto relaxed = std::memory_order_relaxed;

Move move_of(std::uint32_t turn) {
    return static_cast<Move>(turn & 3);
}

unsigned base_of(std::uint32_t turn) {
    return turn >> 2 & 1;
}

Int128 read_base(const DistributionHead& head, unsigned which) {
    const auto high = static_cast<std::int32_t>(head.base_high[which].load(relaxed));
    return (Int128{high} * (Int128{1} << 64)) + head.base_low[which].load(relaxed);
}

void write_base(DistributionHead& head, unsigned which, Int128 value) {
    head.base_low[which].store(static_cast<std::uint64_t>(value), relaxed);
    head.base_high[which].store(static_cast<std::uint32_t>(value >> 64), relaxed);
}

/// running_sum has its new start already.
bool has_moved(const DistributionHead& head, Move move, std::uint64_t running) {
    if (move == Move::none) return false;
    return move == Move::half_off ? running < kHalf : running == start_after(head, move);
}

}  // namespace

void move_sum(DistributionHead& head, Move move) noexcept {
    const std::uint32_t turn = head.turn.load(relaxed) & ~3u;
    const unsigned other = base_of(turn) ^ 1;
    const Int128 base = read_base(head, base_of(turn));
    const std::uint64_t running = head.running_sum.load(relaxed);
    const std::uint64_t start = move == Move::half_off ? 0 : start_after(head, move);
    write_base(head, other, base + (move == Move::half_off ? Int128{kHalf} : Int128{running} - start));
    head.turn.store(turn | static_cast<std::uint32_t>(move), std::memory_order_release);
    if (move == Move::half_off)
        head.running_sum.fetch_sub(kHalf, std::memory_order_release);
    else
        head.running_sum.store(start, std::memory_order_release);
    head.turn.store((turn & ~7u) + 8 + (other << 2), std::memory_order_release);
}

Uint128 read_sum(const DistributionHead& head) noexcept {
    std::uint32_t turn = 0;
    std::uint64_t running = 0;
    Int128 bases[2] = {};
    // Once more if it moved meanwhile; a broken writer must not keep a reader here.
    for (int attempt = 0; attempt < 8; ++attempt) {
        turn = head.turn.load(std::memory_order_acquire);
        running = head.running_sum.load(std::memory_order_acquire);
        bases[0] = read_base(head, 0);
        bases[1] = read_base(head, 1);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (head.turn.load(relaxed) == turn) break;
    }
    const unsigned which = base_of(turn) ^ (has_moved(head, move_of(turn), running) ? 1u : 0u);
    return static_cast<Uint128>(bases[which] + running);
}

void store_sum(DistributionHead& head, Uint128 sum) noexcept {
    head.turn.store(0, relaxed);
    head.running_sum.store(0, relaxed);
    write_base(head, 0, static_cast<Int128>(sum));
}

}  // namespace signalbox::telemetry
