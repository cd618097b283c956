#include "signalbox/detail/clock.hpp"

#include <fstream>
#include <string>

#include "agent/telemetry/seat.hpp"

namespace signalbox::detail {
namespace {

/// The two clocks at one instant, as nearly as they can be read.
struct Instant {
    std::uint64_t cycles = 0;
    std::uint64_t nanoseconds = 0;
};

/// The kernel watches the counter and takes another clock when it is not to be trusted.
bool kernel_counts_cycles() {
    std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    std::string name;
    return file >> name && name == "tsc";
}

#if defined(__x86_64__)
Instant read_both() {
    Instant best;
    std::uint64_t narrowest = UINT64_MAX;
    for (int attempt = 0; attempt < 20; ++attempt) {
        const std::uint64_t before = __rdtsc();
        const std::uint64_t nanoseconds = telemetry::monotonic_ns();
        const std::uint64_t width = __rdtsc() - before;
        if (width >= narrowest) continue;
        narrowest = width;
        best = {before + width / 2, nanoseconds};
    }
    return best;
}
#endif

}  // namespace

void calibrate_section_clock() noexcept {
#if defined(__x86_64__)
    static const bool usable = kernel_counts_cycles();
    static const Instant first = usable ? read_both() : Instant{};
    if (!usable) return;
    if (!section_clock.counts_cycles) {
        const timespec wait{0, 5'000'000};
        nanosleep(&wait, nullptr);
    }
    const Instant now = read_both();
    const std::uint64_t nanoseconds = now.nanoseconds - first.nanoseconds;
    if (nanoseconds < 1'000'000 || now.cycles <= first.cycles) return;
    const double rate = static_cast<double>(nanoseconds) / static_cast<double>(now.cycles - first.cycles);
    section_clock.nanoseconds_per_cycle = static_cast<std::uint64_t>(rate * 0x1p32);
    section_clock.counts_cycles = true;
#endif
}

}  // namespace signalbox::detail
