// Where a process records. Called by Telemetry::attach and detach only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace signalbox::detail {

/// A seat's lanes: `count` of them, `stride` bytes apart, the last of which is shared. `claimed` says, bit by
/// bit, which ones a thread has now; `touched`, which ones may hold anything.
struct LaneSet {
    std::byte* first = nullptr;
    std::uint64_t stride = 0;
    unsigned count = 0;
    std::atomic<std::uint32_t>* claimed = nullptr;
    std::atomic<std::uint32_t>* touched = nullptr;
    std::byte* registers = nullptr;                           ///< the seat's, which all threads record to …
    std::atomic<std::uint32_t>* registers_touched = nullptr;  ///< … and whether any has
};

/// Makes the calling thread the owner of the first lane and offers the others to other threads; an empty set
/// detaches. Threads that have recorded before keep their lane, so attach before starting any.
void attach_process(const LaneSet& lanes) noexcept;

/// Another number after each attach_process() of this process or one that it was forked from: what was
/// recorded under one is not in the cells of the next.
std::uint32_t current_attachment() noexcept;

/// Halves the spacing of the samples of the distribution with that head, in all lanes of this process, so
/// that one that was busy and is quiet now keeps all its samples again after 16 calls.
void keep_more_samples(std::uint32_t head_offset) noexcept;

/// Where the calling thread records; the base is null if the process has not attached.
struct LanePlace {
    std::byte* base = nullptr;
    bool alone = false;  ///< nobody else writes there
};
LanePlace lane_place() noexcept;

/// The registers of this process' seat; null if it has not attached.
std::byte* process_registers() noexcept;
/// To be called before anything is recorded there.
void touch_registers() noexcept;
/// Null also if nothing has been.
std::byte* touched_registers() noexcept;

}  // namespace signalbox::detail
