#include "agent/telemetry/registration.hpp"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "agent/telemetry/process_status.hpp"
#include "agent/telemetry/seat.hpp"

namespace signalbox::telemetry {
namespace {

// A claim: two bits of state, the pid (the kernel has at most 2^22), and when that process was started, in the
// kernel's ticks since boot (40 bits last for 300 years); 0 if it could not find out.
constexpr unsigned kPidShift = 2;
constexpr unsigned kStartShift = 24;
constexpr std::uint64_t kPidMask = (1u << (kStartShift - kPidShift)) - 1;
constexpr std::uint64_t kStartMask = UINT64_MAX >> kStartShift;

constexpr std::uint64_t kPatience = 100'000'000;
/// Between two looks at the claimant. A live one needs microseconds, a look about ten.
constexpr std::uint64_t kBetweenLooks = 100'000;

}  // namespace

std::uint64_t Claim::of_this_process() {
    const pid_t pid = ::getpid();
    // Not kept for the next time: after a fork it would be the parent's.
    const auto status = process_status(pid);
    const std::uint64_t start = status ? status->start_ticks & kStartMask : 0;
    return start << kStartShift | static_cast<std::uint64_t>(pid) << kPidShift |
           static_cast<std::uint64_t>(EntryState::claimed);
}

bool Claim::is_of_a_dead_process(std::uint64_t word) {
    const auto pid = static_cast<pid_t>(word >> kPidShift & kPidMask);
    const std::uint64_t start = word >> kStartShift;
    if (pid == 0) return false;  // no claim of ours
    if (::kill(pid, 0) != 0 && errno == ESRCH) return true;
    const auto status = process_status(pid);
    if (!status) return false;  // no /proc, or no descriptor to read it with: only time tells
    return status->has_ended || (start != 0 && start != (status->start_ticks & kStartMask));
}

Claim::Claim(AtomicWord& state) : state_(state) {
    std::uint64_t ours = 0;
    std::uint64_t met = 0;
    std::uint64_t deadline = 0;
    std::uint64_t next_look = 0;
    for (;;) {
        std::uint64_t word = state_.load(std::memory_order_acquire);
        if (word == static_cast<std::uint64_t>(EntryState::vacant)) {
            if (ours == 0) ours = of_this_process();
            if (!state_.compare_exchange_strong(word, ours, std::memory_order_acquire)) continue;
            word_ = ours;
            return;
        }
        if (static_cast<EntryState>(word & 3) != EntryState::claimed) return;
        const std::uint64_t now = monotonic_ns();
        if (word != met) {
            met = word;
            deadline = now + kPatience;
            next_look = now + kBetweenLooks;
        }
        bool lost = now >= deadline;
        if (!lost && now >= next_look) {
            lost = is_of_a_dead_process(word);
            next_look = monotonic_ns() + kBetweenLooks;
        }
        // If the claimant gets ahead of this after all, or another one who waits, that holds.
        if (lost)
            state_.compare_exchange_strong(word, static_cast<std::uint64_t>(EntryState::abandoned));
        else
            sched_yield();
    }
}

bool Claim::leave(EntryState state) {
    std::uint64_t word = word_;
    return state_.compare_exchange_strong(word, static_cast<std::uint64_t>(state), std::memory_order_release,
                                          std::memory_order_relaxed);
}

}  // namespace signalbox::telemetry
