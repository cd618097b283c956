// The clock of timed sections: the processor's time-stamp counter where the kernel itself keeps time by it
// (9 ns a read instead of 21), CLOCK_MONOTONIC otherwise. Not for direct use.
//
// The counter runs alike on all processors of such a machine, so instants may be compared between threads and
// processes. Its rate is measured when the Telemetry is made, to about 20 millionths, and again, over all the
// time since, when a process attaches.
#pragma once

#include <time.h>

#include <cstdint>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace signalbox::detail {

struct SectionClock {
    bool counts_cycles = false;               ///< else instants are nanoseconds
    std::uint64_t nanoseconds_per_cycle = 0;  ///< × 2^32
};
inline constinit SectionClock section_clock;

/// Measures the counter's rate; takes 5 ms the first time and nothing later. One thread at a time.
void calibrate_section_clock() noexcept;

inline std::uint64_t section_now() noexcept {
#if defined(__x86_64__)
    if (section_clock.counts_cycles) [[likely]]
        return __rdtsc();
#endif
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

/// The nanoseconds from one section_now() to a later one; 0 if the thread has moved to a processor whose
/// counter is behind by the few cycles that are possible.
inline std::uint64_t section_nanoseconds(std::uint64_t from, std::uint64_t to) noexcept {
    const std::uint64_t elapsed = static_cast<std::int64_t>(to - from) > 0 ? to - from : 0;
    if (!section_clock.counts_cycles) return elapsed;
    __extension__ typedef unsigned __int128 Wide;
    return static_cast<std::uint64_t>(static_cast<Wide>(elapsed) * section_clock.nanoseconds_per_cycle >> 32);
}

}  // namespace signalbox::detail
